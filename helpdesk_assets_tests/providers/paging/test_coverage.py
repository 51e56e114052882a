"""Covered ranges are exact, and as few as possible."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.providers.paging.coverage import Coverage
from helpdesk_assets_tests.providers.shifting_helpdesk import at

STRETCHES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=15)


def covered(*stretches: tuple[int, int]) -> Coverage:
    made = Coverage()
    for start, end in stretches:
        made.add(at(start), at(end))
    return made


def gaps(read: Coverage, start: int, end: int) -> list[tuple[float, float]]:
    return [(a.timestamp(), b.timestamp()) for a, b in read.gaps(at(start), at(end))]


def test_touching_spans_are_joined() -> None:
    read = covered((0, 5), (10, 15), (5, 10))
    assert json.loads(read.to_text())["read"] == [[at(0).isoformat(), at(15).isoformat()]]


def test_unread_window_is_one_gap() -> None:
    assert gaps(covered(), 3, 9) == [(3, 9)]


def test_final_gap_remains_after_reading_everything() -> None:
    assert gaps(covered((0, 20)), 3, 9) == [(9, 9)]


@given(STRETCHES, st.integers(0, 40), st.integers(0, 40))
def test_gaps_are_the_unread_spans(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    read = covered(*stretches)
    again = Coverage.from_text(read.to_text())
    for one in (read, again):
        found = gaps(one, start, end)
        inside = {n for a, b in found[:-1] for n in range(int(a), int(b))}
        inside |= set(range(int(found[-1][0]), int(found[-1][1])))
        true = {n for a, b in stretches for n in range(a, b)}
        assert inside == set(range(start, end)) - true
        assert found[-1][1] == end
    # In order, and not adjacent: adjacent ranges would have been merged.
    pairs = json.loads(read.to_text())["read"]
    edges = [moment for pair in pairs for moment in pair]
    assert edges == sorted(set(edges))


def test_share_is_counted_from_the_oldest_ticket() -> None:
    read = covered((0, 1000))
    assert read.share(at(0), at(2000)) == 0.5
    read.oldest = at(900)
    assert read.share(at(0), at(2000)) == pytest.approx(100 / 1100)
    assert covered().share(at(5), at(5)) == 1.0


@pytest.mark.parametrize("text", ["", "{}", '{"first": null, "read": [["x", "y"]]}', "[1]"])
def test_foreign_text_is_rejected(text: str) -> None:
    with pytest.raises(PositionLost, match="interrupted run"):
        Coverage.from_text(text)
