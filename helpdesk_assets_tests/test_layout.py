"""Repeated content stays consistent, and the code keeps its limits on names and sizes."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import yaml

from helpdesk_assets.settings import Settings

ROOT = Path(__file__).parent.parent


def test_both_loading_ways_name_the_same_module_and_location() -> None:
    """Dagster reads workspace.yaml only without a section in pyproject.toml.

    A difference would therefore show in one place only.
    """
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    (loaded,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = loaded["python_module"]
    assert module["module_name"] == tool["module_name"]
    assert module["location_name"] == tool["code_location_name"]
    assert module["working_directory"] == "."


def test_example_environment_names_exactly_the_settings() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = [m[1] for line in lines if (m := re.match(r"([A-Z_]+)=", line))]
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)
    assert len(named) == len(set(named))


def test_no_two_classes_share_a_name() -> None:
    """A name with two meanings sends the reader to the wrong module."""
    names = Counter(
        node.name
        for module in (ROOT / "helpdesk_assets").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_modules_have_at_most_300_lines() -> None:
    lines = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in (ROOT / "helpdesk_assets").rglob("*.py")
    }
    assert {module: count for module, count in lines.items() if count > 300} == {}


def test_test_names_are_short_and_unique_per_file() -> None:
    """Python keeps only the last of two functions with one name, so the first never runs."""
    for module in (ROOT / "helpdesk_assets_tests").rglob("test_*.py"):
        names = [
            node.name
            for node in ast.walk(ast.parse(module.read_text()))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        assert [name for name, count in Counter(names).items() if count > 1] == [], module
        assert [name for name in names if name.count("_") > 10] == [], module
