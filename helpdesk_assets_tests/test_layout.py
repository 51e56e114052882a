"""Files that repeat each other's content stay consistent."""

from __future__ import annotations

import re
import tomllib
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
