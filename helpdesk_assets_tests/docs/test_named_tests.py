"""Every test that a page names exists, so that no promise points at nothing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "helpdesk_assets_tests"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
PAGES = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_test_exists(page: Path) -> None:
    for path, name in NAMED.findall(page.read_text()):
        functions = {
            node.name
            for node in ast.walk(ast.parse((TESTS / path).read_text()))
            if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{page.name} names {path}::{name}"


@pytest.mark.parametrize(("page", "most_of_them"), [("reliability.md", 50), ("bigquery.md", 30)])
def test_page_names_its_tests(page: str, most_of_them: int) -> None:
    assert len(NAMED.findall((ROOT / "docs" / page).read_text())) > most_of_them
