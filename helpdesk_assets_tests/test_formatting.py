from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.formatting import format_bytes, format_duration, format_phases, format_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (-90, "1 min 30 s")],
)
def test_age(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (24_000_000, "24.0 MB")]
)
def test_size(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_moment() -> None:
    assert format_time(datetime(2026, 11, 23, 10, tzinfo=UTC)) == "2026-11-23 10:00:00Z"
    assert format_time(None) == "the beginning"


def test_seconds_by_phase() -> None:
    assert format_phases({"fetch": 0.11, "merge": 1.0}) == "1.1 (fetch 0.1, merge 1.0)"
