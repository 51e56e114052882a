"""Times, sizes and durations as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta


def format_time(when: datetime | None) -> str:
    """`2026-11-23 10:00:00Z`; None is the beginning of a window that has no other."""
    return "the beginning" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def format_iso(when: datetime | None) -> str | None:
    """`2026-11-23T10:00:00+00:00`, for programs; None stays None."""
    return when.astimezone(UTC).isoformat() if when else None


def format_duration(duration: timedelta) -> str:
    """`3 h 12 min`: the two largest units."""
    seconds = int(abs(duration.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def format_age(age: timedelta, when_past: str) -> str:
    """`3 h 12 min ago`, with that last word; `5 s ahead of this machine's clock` below zero."""
    how = "ahead of this machine's clock" if age < timedelta(0) else when_past
    return f"{format_duration(age)} {how}"


def pluralized(number: int, thing: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def format_bytes(count: int) -> str:
    """`412 B`, `3.1 kB`, `24.0 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def format_phases(seconds: Mapping[str, float]) -> str:
    """`1.2 (fetch 0.1, merge 0.8, ...)`."""
    phases = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    return f"{sum(seconds.values()):.1f} ({phases})"
