"""Readers in threads: everything once, failures told, nobody left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from helpdesk_assets.providers.paging.parallel import read_side_by_side
from helpdesk_assets.providers.paging.work_split import Span, Spans
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, at


def spans_of(count: int) -> Spans:
    each = (Span(at(n), at(n + 1), last=False) for n in range(count))
    return Spans(each, tick=SECOND, now=lambda: None)


def readers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("reader-")]


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_everything_comes_once(at_once: int) -> None:
    def read(span: Span) -> Iterator[tuple[float, int]]:
        yield from ((span.at.timestamp(), n) for n in range(3))

    got = list(read_side_by_side(spans_of(20), read, at_once))
    assert sorted(got) == [(float(n), step) for n in range(20) for step in range(3)]
    assert readers() == []


def test_readers_are_at_work_at_the_same_time() -> None:
    meeting = threading.Barrier(4, timeout=20)

    def read(span: Span) -> Iterator[float]:
        if span.at > at(0):
            meeting.wait()
        yield span.at.timestamp()

    assert len(list(read_side_by_side(spans_of(5), read, 4))) == 5


def test_a_failure_comes_after_what_was_read_before_it_and_ends_all() -> None:
    def read(span: Span) -> Iterator[float]:
        yield span.at.timestamp()
        if span.at == at(3):
            raise ValueError("the fourth")

    got: list[float] = []
    with pytest.raises(ValueError, match="the fourth"):
        got.extend(read_side_by_side(spans_of(1000), read, 2))
    assert readers() == []


def test_who_stops_listening_leaves_no_thread_behind() -> None:
    steps = read_side_by_side(spans_of(1000), lambda span: iter([span.at] * 10), 4)
    for _ in range(15):
        next(steps)
    assert readers()
    steps.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_few_results_wait_to_be_fetched() -> None:
    made: list[int] = []

    def read(span: Span) -> Iterator[int]:
        for n in range(100):
            made.append(n)
            yield n

    steps = read_side_by_side(spans_of(50), read, 3)
    for _ in range(5):
        next(steps)
    # What was given, what waits, and what each reader has in hand.
    assert len(made) <= 5 + 2 * 3 + 3 + 1
    steps.close()  # type: ignore[attr-defined]
