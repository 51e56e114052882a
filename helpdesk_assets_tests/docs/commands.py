"""Whether a command line that a text names exists: its command, its options, its arguments."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import click
from dagster._cli import create_dagster_cli

from helpdesk_assets.cli.commands import root
from helpdesk_assets.local.simulator import admin_api
from helpdesk_assets_tests.docs import known
from helpdesk_assets_tests.docs.texts import EXPRESSION, ROOT, Snippet

_ASSIGNMENT = re.compile(r"[A-Z][A-Z_]*=")
_OPTION = re.compile(r"--?[a-z][a-z-]*(?:[ =]\S+)?")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_VARIABLE = re.compile(r"^([A-Z_]+)\s*\?=|\$[({]([A-Z_]+)[)}]", re.MULTILINE)
_ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", "#", "\\"}
# Options of pytest that pages name by themselves.
_PYTEST_OPTIONS = {"--warehouse", "--hypothesis-profile", "--strict-duration"}


def problems(snippet: Snippet) -> Iterator[str]:
    """What in this snippet is a command of ours, of make or of Dagster, and does not exist."""
    text = snippet.text
    words = [word for word in _words(text) if not _ASSIGNMENT.match(word)]
    if not words:
        return
    program, arguments = words[0].rpartition("/")[2], words[1:]
    if program == "helpdesk-assets":
        yield from _walk(root, arguments)
    elif program == "make":
        yield from _make_problems(words=_words(text))
    elif program == "dagster":
        yield from _dagster_problems(arguments)
    elif program.startswith("python") and arguments[:1] == ["-m"]:
        yield from _module_problems(arguments[1:2])
    elif program == "pytest":
        yield from _file_problems(arguments)
    elif words[0].startswith(("deploy/", ".ci/")):
        yield from _file_problems(words[:1])
    elif program == "curl":
        yield from _simulator_problems(text)
    elif not snippet.in_block and _is_short_form(words):
        yield from _walk(root, words)
    elif not snippet.in_block and _OPTION.fullmatch(text):
        option = re.split("[ =]", text)[0]
        if option not in _all_options() | _PYTEST_OPTIONS:
            yield f"no command has the option {option}"


def _words(text: str) -> list[str]:
    """The words of the first command in this text."""
    try:
        split = shlex.split(text, comments=True)
    except ValueError:
        split = text.split()
    words: list[str] = []
    for word in split:
        if word in _ENDS_A_COMMAND:
            break
        words.append(word.rstrip(".,:;)") if words else word)
    return words


def _is_short_form(words: list[str]) -> bool:
    """`sync --full`, `watermark show`: a command without the name of the program."""
    command = root.commands.get(words[0])
    if command is None or len(words) < 2:
        return False
    return isinstance(command, click.Group) or words[1].startswith("--")


def _walk(command: click.Command, words: list[str]) -> Iterator[str]:
    path = [] if isinstance(command, click.Group) else [command.name or ""]
    rest = list(words)
    arguments = 0
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            name, _, value = word.partition("=")
            option = _options(command).get(name)
            if option is None:
                if name not in ("--help", "-h", "--verbose", "-v"):
                    yield f"`{' '.join(path)}` has no option {name}"
                    return
            elif not option.is_flag and not value:
                rest = rest[1:]
        elif isinstance(command, click.Group):
            found = command.commands.get(word)
            if found is None:
                if word != EXPRESSION:
                    yield f"`{' '.join(path)}` has no command {word}"
                return
            command = found
            path.append(word)
        else:
            arguments += 1
            takes = [p.nargs for p in command.params if isinstance(p, click.Argument)]
            if -1 not in takes and arguments > sum(takes):
                yield f"`{' '.join(path)}` takes no argument {word}"


def _options(command: click.Command) -> dict[str, click.Option]:
    return {
        name: each
        for each in command.params
        if isinstance(each, click.Option)
        for name in (*each.opts, *each.secondary_opts)
    }


@cache
def _all_options() -> set[str]:
    found = {"--help"}
    commands: list[click.Command] = [root]
    while commands:
        command = commands.pop()
        found |= _options(command).keys()
        commands += command.commands.values() if isinstance(command, click.Group) else ()
    return found


def _make_problems(words: list[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(_TARGET.findall(makefile))
    variables = {name for pair in _VARIABLE.findall(makefile) for name in pair if name}
    for word in words:
        if assignment := _ASSIGNMENT.match(word):
            # In front of `make` it is the environment's, and may be a setting.
            name = assignment[0].rstrip("=")
            if name not in variables | known.settings():
                yield f"the Makefile has no variable {name}"
        elif not word.startswith("-") and word not in targets | {"make", EXPRESSION}:
            yield f"the Makefile has no target {word}"


def _dagster_problems(words: list[str]) -> Iterator[str]:
    yield from _walk(create_dagster_cli(), words)  # type: ignore[no-untyped-call]
    for option, value in pairwise(words):
        if option in ("-j", "--job") and value not in known.jobs():
            yield f"there is no job {value}"
    if words[:3] == ["instance", "concurrency", "set"] and words[3] not in known.pools():
        yield f"there is no pool {words[3]}"


def _module_problems(words: list[str]) -> Iterator[str]:
    for module in words:
        if module.startswith(("helpdesk_assets", "bench")) and not _has_module(module):
            yield f"there is no module {module}"


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _simulator_problems(text: str) -> Iterator[str]:
    """What is asked of the simulated helpdesk of `make dev`."""
    routes = inspect.getsource(admin_api)
    for path in re.findall(r"127\.0\.0\.1:8420(/[\w/]+)", text):
        if f'"{path}"' not in routes:
            yield f"the simulated helpdesk has no {path}"


def _file_problems(words: list[str]) -> Iterator[str]:
    for word in words:
        path = word.partition("::")[0]
        if "/" in path and not word.startswith("-") and not (ROOT / path).exists():
            yield f"there is no file {path}"
