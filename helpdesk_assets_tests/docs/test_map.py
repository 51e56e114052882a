"""Every name in ARCHITECTURE.md and CONTRIBUTING.md is a file, a module, or something in one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from helpdesk_assets_tests.docs import commands, known, names
from helpdesk_assets_tests.docs.texts import ROOT, of_markdown

MAPS = ("ARCHITECTURE.md", "CONTRIBUTING.md")
PROGRAMS = {"make", "git", "python", "pytest"}
# What these pages speak of and no module defines: headers, extras, marks, sections of docstrings.
WORDS = {"helpdesk_assets", "Retry-After", "[local]", "slow", "Args", "Returns", "Raises"}
# Made by people and by `make install`.
MADE = {".env", ".venv"}
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def problems_of_map(text: str) -> Iterator[str]:
    """Each code span must be a path, a name, a command or a word that is known."""
    for snippet in of_markdown(text):
        if not snippet.in_block and not _is_known(snippet.text):
            yield f"{snippet.line}: {snippet.text} is neither a path nor a name"


def _is_known(text: str) -> bool:
    if text in WORDS | MADE or text.split()[0].rpartition("/")[2] in PROGRAMS:
        return True
    if _NAME.fullmatch(text) and (known.defines(text) or text in known.names()):
        return True
    return names.is_path(text) and not list(names.path_problems(text))


@pytest.mark.parametrize("page", MAPS)
def test_the_map_names_only_what_exists(page: str) -> None:
    assert list(problems_of_map((ROOT / page).read_text())) == []


def test_the_map_names_every_folder_of_the_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    roots = {module.partition(".")[0] for module in known.definitions()} - {""}
    assert [name for name in sorted(roots) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "lie",
    [
        "operations.sync.run_synch",
        "operations.synchronise",
        "extract.fetch.BatchFetcher.go",
        "warehouse/merge/no_statement.py",
        "docs/nothing/",
        "no_folder",
        "RunCount",
        "no_such_column",
    ],
)
def test_a_false_name_in_the_map_is_found(lie: str) -> None:
    assert list(problems_of_map(f"See `{lie}`.")) == [f"1: {lie} is neither a path nor a name"]


@pytest.mark.parametrize(
    "truth",
    [
        "operations.sync",
        "operations.sync.run_sync",
        "settings.Settings",
        "warehouse.tables.SYNC_TABLES",
        "warehouse/tables.py",
        "missed_updates",
        "received_at",
        "HELPDESK_BASE_URL",
        "make test",
    ],
)
def test_a_true_name_in_the_map_passes(truth: str) -> None:
    assert list(problems_of_map(f"See `{truth}`.")) == []


def test_the_command_that_counts_is_checked_too() -> None:
    (snippet,) = of_markdown("`python -m bench.structures d130c5f`")
    assert list(commands.problems(snippet)) == ["there is no module bench.structures"]
