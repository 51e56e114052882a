"""The texts of this project: code in its pages, and string literals in its package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "helpdesk_assets"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Comments in them name commands, and some lines are commands.
OTHER_FILES = [
    ROOT / name
    for name in (".env.example", "Makefile", "Procfile", "deploy/dagster.yaml", ".ci/run")
]
MODULES = sorted(PACKAGE.rglob("*.py"))

_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_FENCE = re.compile(r"\s*```\s*(\w*)")
# A command in a message, where it is not in backticks: "To move it: helpdesk-assets watermark set".
_BARE_COMMAND = re.compile(r"(?:^|: )(helpdesk-assets [a-z][^.;,()]*)")
_COMMAND = re.compile(r"helpdesk-assets [a-z][^;]*")
EXPRESSION = "…"


@dataclass(frozen=True)
class Snippet:
    """A piece of text that claims something: a code span, a line of a code block, a message.

    `before` holds the words in front of a code span: "the check " says that a check follows.
    """

    line: int
    text: str
    in_block: bool = False
    before: str = ""


def of_file(path: Path) -> list[Snippet]:
    text = path.read_text()
    return list(of_python(text) if path.suffix == ".py" else of_markdown(text))


def of_markdown(text: str) -> Iterator[Snippet]:
    """Code spans, which may be broken over two lines, and lines of fenced or indented blocks."""
    prose: list[str] = []
    fenced = False
    previous_is_text = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            prose.append("")
            continue
        indented = line.startswith("    ") and not previous_is_text
        if (fenced or indented) and line.strip():
            yield Snippet(len(prose) + 1, line.strip(), in_block=True)
            prose.append("")
            continue
        previous_is_text = bool(line.strip())
        prose.append(line)
    yield from _spans("\n".join(prose))


def of_python(source: str) -> Iterator[Snippet]:
    """Code spans and bare commands in every string literal, docstrings included."""
    for line, text in string_literals(source):
        for span in _spans(text):
            yield Snippet(line + span.line - 1, span.text, before=span.before)
        for match in _BARE_COMMAND.finditer(text):
            yield Snippet(line, match[1])


def of_other_file(text: str) -> Iterator[Snippet]:
    """Code spans, and our commands wherever a line has them."""
    yield from _spans(text)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("#") and (match := _COMMAND.search(line)):
            yield Snippet(number, match[0], in_block=True)


def string_literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each literal; an expression in an f-string becomes an ellipsis."""
    tree = ast.parse(source)
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            values = [v.value if isinstance(v, ast.Constant) else EXPRESSION for v in node.values]
            yield node.lineno, "".join(str(value) for value in values)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
        ):
            yield node.lineno, node.value


def shell_lines(text: str) -> list[str]:
    """The commands in the blocks of a page that are fenced as sh, without their comments."""
    lines: list[str] = []
    language = None
    for line in text.splitlines():
        if fence := _FENCE.match(line):
            language = fence[1] if language is None else None
        elif language == "sh" and (command := line.partition(" # ")[0].strip()):
            lines.append(command)
    return lines


def _spans(text: str) -> Iterator[Snippet]:
    for paragraph in re.finditer(r"(?:[^\n]+\n?)+", text):
        for match in _SPAN.finditer(paragraph[0]):
            start = paragraph.start() + match.start()
            before = " ".join(paragraph[0][: match.start()].split()[-2:])
            yield Snippet(text.count("\n", 0, start) + 1, " ".join(match[1].split()), before=before)
