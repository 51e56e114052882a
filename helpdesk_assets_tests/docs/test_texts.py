"""Every command, option, setting, table, check, job and path that a text names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from helpdesk_assets_tests.docs import commands, known, names
from helpdesk_assets_tests.docs.texts import (
    MODULES,
    OTHER_FILES,
    PAGES,
    ROOT,
    of_file,
    of_markdown,
    of_other_file,
    of_python,
    string_literals,
)


def problems_of_page(text: str) -> Iterator[str]:
    for snippet in of_markdown(text):
        found = chain(commands.problems(snippet), names.problems_of_page(snippet))
        yield from (f"{snippet.line}: {problem} ({snippet.text})" for problem in found)


def problems_of_module(source: str) -> Iterator[str]:
    for snippet in of_python(source):
        found = chain(commands.problems(snippet), names.problems_of_message(snippet))
        yield from (f"{snippet.line}: {problem} ({snippet.text})" for problem in found)
    for line, literal in string_literals(source):
        yield from (f"{line}: {problem}" for problem in names.setting_problems(literal))


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=_relative)
def test_a_page_names_only_what_exists(path: Path) -> None:
    assert list(problems_of_page(path.read_text())) == []


@pytest.mark.parametrize("path", PAGES, ids=_relative)
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    """Relative ones; a part of a page, behind `#`, must be a heading there."""
    assert list(broken_links(path.read_text(), path.parent)) == []


def broken_links(text: str, folder: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = link.partition("#")
        if ":" in name:
            continue
        target = folder / name
        if not target.exists() or (heading and heading not in _headings(target.read_text())):
            yield link


def _headings(text: str) -> set[str]:
    """As GitHub makes them into anchors."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_a_broken_link_is_found() -> None:
    page = "[a](README.md) [b](NOTHING.md) [c](README.md#no-such-part) [d](https://example.com/x)"
    assert list(broken_links(page, ROOT)) == ["NOTHING.md", "README.md#no-such-part"]


def test_the_package_names_only_what_exists() -> None:
    problems = [
        f"{_relative(path)}:{problem}"
        for path in MODULES
        for problem in problems_of_module(path.read_text())
    ]
    assert problems == []


@pytest.mark.parametrize("path", OTHER_FILES, ids=_relative)
def test_another_file_names_only_commands_that_exist(path: Path) -> None:
    assert list(problems_of_other_file(path.read_text())) == []


def problems_of_other_file(text: str) -> Iterator[str]:
    for snippet in of_other_file(text):
        found = commands.problems(snippet)
        yield from (f"{snippet.line}: {problem} ({snippet.text})" for problem in found)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("# As `make devel` does.", "no target devel"),
        ("web: exec helpdesk-assets webhook --port 8430", "no command webhook"),
        ("\t$(BIN)/helpdesk-assets demo --ticket $(TICKETS)", "no option --ticket"),
    ],
)
def test_a_false_name_in_another_file_is_found(line: str, problem: str) -> None:
    assert problem in "\n".join(problems_of_other_file(line))


@pytest.mark.parametrize("kind", ["assets", "checks", "relations", "schedules"])
def test_readme_and_docs_name_all_that_there_is(kind: str) -> None:
    words = {word for path in PAGES for word in re.findall(r"\w+", path.read_text())}
    assert sorted(getattr(known, kind)() - words) == []


def test_the_checker_reads_every_page_and_the_package() -> None:
    assert ROOT / "README.md" in PAGES
    assert sum(len(of_file(path)) for path in PAGES) > 500
    assert sum(len(of_file(path)) for path in MODULES) > 100


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("Run `helpdesk-assets snyc`.", "has no command snyc"),
        ("Run `helpdesk-assets sync --since 2026-01-01`.", "`sync` has no option --since"),
        ("Run `sync --until X`.", "`sync` has no option --until"),
        ("Run `watermark show --ful`.", "has no option --ful"),
        ("Run `watermark move`.", "has no command move"),
        ("A span over two lines: `helpdesk-assets\nsync --nothing`.", "no option --nothing"),
        ("Run `helpdesk-assets doctor now`.", "takes no argument now"),
        ("The option `--sinze` helps.", "no command has the option --sinze"),
        ("Code:\n\n    helpdesk-assets repair --id 1   # one\n", "no option --id"),
        ("```sh\nexport X=1\nhelpdesk-assets webhook --port 1\n```\n", "no command webhook"),
        ("Run `make tests`.", "no target tests"),
        ("Run `make dev HELPDESKS=rt`.", "no variable HELPDESKS"),
        ("Run `BIGQUERY_PROJEKT=x make test`.", "no variable BIGQUERY_PROJEKT"),
        ("Run `dagster job backfill -j helpdesk_backfil`.", "no job helpdesk_backfil"),
        ("Run `dagster instance concurrency set sync 1`.", "no pool sync"),
        ("Run `dagster job fill -j helpdesk_backfill`.", "no command fill"),
        ("Run `python -m bench.nothing`.", "no module bench.nothing"),
        ("Run `pytest helpdesk_assets_tests/nothing.py`.", "no file helpdesk_assets_tests/noth"),
        ("Code:\n\n    curl 127.0.0.1:8420/admin/chang -d x\n", "no /admin/chang"),
        ("Run `deploy/nothing.sh install`.", "no file deploy/nothing.sh"),
        ("Set `HELPDESK_BASE_URI`.", "no setting HELPDESK_BASE_URI"),
        ("Code:\n\n    HELPDESK_TOKEN=…\n", "no setting HELPDESK_TOKEN"),
        ("See `warehouse/no_such_module.py`.", "no file warehouse/no_such_module.py"),
        ("See `docs/nothing/`.", "no file docs/nothing/"),
        ("The check `webhook_holes` warns.", "no check webhook_holes"),
        ("The job `helpdesk_refresh` runs.", "no job helpdesk_refresh"),
        ("The asset `tickets` is one.", "no asset tickets"),
        ("The table `raw_changes` is one.", "no table raw_changes"),
        ("The view `histories` is one.", "no view histories"),
        ("The column `modified` is one.", "no column modified"),
        ("Code:\n\n    max_delete_shar: 0.2\n", "nothing is called max_delete_shar"),
        ("Use `max_delete_shar: 0.2`.", "nothing is called max_delete_shar"),
        ("Look at `missed_udpates`.", "nothing is called missed_udpates"),
        ("Look at `modifyTime`.", "nothing is called modifyTime"),
        ("See `StateTable.reed`.", "no module defines StateTable.reed"),
        ("Ask `SELECT * FROM missed_tickets WHERE x`.", "no table missed_tickets"),
        ("Code:\n\n    DELETE FROM `helpdesk_data.ticket` AS T\n", "no table ticket"),
    ],
)
def test_a_false_name_in_a_page_is_found(page: str, problem: str) -> None:
    assert problem in "\n".join(problems_of_page(page))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('"""Run `sync --since`."""', "`sync` has no option --since"),
        ('raise E(f"read by " f"`sync --until {when}`.")', "`sync` has no option --until"),
        ('E("To move it: helpdesk-assets watermark put TIME.")', "has no command put"),
        ('E("helpdesk-assets simulated")', "has no command simulated"),
        ('E("Start it with `make develop`.")', "no target develop"),
        ('E("Correct HELPDESK_TOKEN.")', "no setting HELPDESK_TOKEN"),
        ('E("The check `webhook_holes` warns.")', "no check webhook_holes"),
    ],
)
def test_a_false_name_in_a_message_is_found(source: str, problem: str) -> None:
    assert problem in "\n".join(problems_of_module(source))


@pytest.mark.parametrize(
    "page",
    [
        "Run `helpdesk-assets watermark set 2026-11-26T00:00:00Z --yes`.",
        "Run `repair --ids …`, or `helpdesk-assets simulate --port=8420`.",
        "Run `make dev HELPDESK=rt` or `.venv/bin/python -m bench.start_up`.",
        "The keys `sync`, `status` and `warehouse` are words; `status = 'closed'` is SQL.",
        "The column `modifiedTime`, the check `webhook_gaps`, the pool `helpdesk_sync`.",
        "Ask `SELECT * FROM missed_updates WHERE reason = 'missed'`.",
        "1. A list\n   continues with `helpdesk-assets doctor`.\n",
    ],
)
def test_a_true_page_passes(page: str) -> None:
    assert list(problems_of_page(page)) == []
