"""Every sample says where its form is from, and some test serves it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_sample_is_complete_and_served(path: Path) -> None:
    found = json.loads(path.read_text())
    assert found.keys() - {"status", "headers"} == {"source", "request", "body"}
    assert found["source"].strip()
    assert f'"{path.stem}"' in (HERE / f"test_{path.parent.name}.py").read_text()
