"""What a run leaves to the next about the recycle bin: written, read, and how it is used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.providers.zoho_desk.bin_labels import TicketModule
from helpdesk_assets.providers.zoho_desk.bin_place import (
    CLOCK_MARGIN,
    WHOLE_EVERY,
    BinPlace,
    deletions_since,
)

TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
SORTED = BinPlace(TEN, can_sort=True, module=TicketModule("7", "anfragen"))
UNSORTED = BinPlace(TEN, can_sort=False, module=TicketModule())
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("place", [SORTED, UNSORTED])
def test_cursor_is_read_as_it_was_written(place: BinPlace) -> None:
    assert BinPlace.from_text(place.to_text()) == place


@pytest.mark.parametrize(
    "changed",
    [
        {"read_until": None},
        {"read_until": "2026-11-23T10:00:00"},
        {"read_until": "0001-01-01T00:00:00+14:00"},
        {"read_until": "1969-12-31T23:00:00+00:00"},
        {"can_sort": "true"},
        {"module_id": 7},
        {"module_id": "7&limit=1"},
        {"module_id": "\u0665"},
        {"label": None},
        {"label": "a" * 201},
    ],
)
def test_cursor_of_another_kind_is_none(changed: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(SORTED.to_text()), **changed})
    assert BinPlace.from_text(text) is None


@pytest.mark.parametrize("cursor", [None, "", "null", "[]", "{}", "7", "abc", '"x"', "[" * 9000])
def test_foreign_cursor_is_none(cursor: str | None) -> None:
    assert BinPlace.from_text(cursor) is None


def test_whole_bin_is_due_once_a_day() -> None:
    assert not UNSORTED.is_old(TEN + WHOLE_EVERY - HOUR)
    assert UNSORTED.is_old(TEN + WHOLE_EVERY)
    # A clock that had run ahead.
    assert UNSORTED.is_old(TEN - HOUR)


def test_deletions_are_read_from_the_last_complete_reading() -> None:
    since = TEN + 5 * HOUR
    assert deletions_since(None, SORTED) is None
    assert deletions_since(TEN, SORTED) == TEN
    assert deletions_since(since, SORTED) == TEN - CLOCK_MARGIN
    assert deletions_since(since, UNSORTED) == TEN - CLOCK_MARGIN
    assert deletions_since(TEN - 5 * HOUR, UNSORTED) == TEN - 5 * HOUR
    assert deletions_since(since, None) == since - WHOLE_EVERY - CLOCK_MARGIN
    assert deletions_since(datetime.min.replace(tzinfo=UTC), None) is None
