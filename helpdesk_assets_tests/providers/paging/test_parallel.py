"""Concurrent readers read everything once, raise errors, and leave no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from helpdesk_assets.providers.paging.parallel import read_parallel
from helpdesk_assets.providers.paging.work_split import Span, WorkSplit
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, at


def spans_of(count: int) -> WorkSplit:
    each = (Span(at(n), at(n + 1), last=False) for n in range(count))
    return WorkSplit(each, tick=SECOND, opened_at=lambda: None)


def readers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("reader-")]


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_every_result_is_yielded_once(at_once: int) -> None:
    def read(span: Span) -> Iterator[tuple[float, int]]:
        yield from ((span.position.timestamp(), n) for n in range(3))

    got = list(read_parallel(spans_of(20), read, at_once))
    assert sorted(got) == [(float(n), step) for n in range(20) for step in range(3)]
    assert readers() == []


def test_readers_run_concurrently() -> None:
    meeting = threading.Barrier(4, timeout=20)

    def read(span: Span) -> Iterator[float]:
        if span.position > at(0):
            meeting.wait()
        yield span.position.timestamp()

    assert len(list(read_parallel(spans_of(5), read, 4))) == 5


def test_failure_follows_earlier_results_and_stops_everything() -> None:
    def read(span: Span) -> Iterator[float]:
        yield span.position.timestamp()
        if span.position == at(3):
            raise ValueError("the fourth")

    got: list[float] = []
    with pytest.raises(ValueError, match="the fourth"):
        got.extend(read_parallel(spans_of(1000), read, 2))
    assert readers() == []


def test_closing_the_consumer_leaves_no_threads() -> None:
    steps = read_parallel(spans_of(1000), lambda span: iter([span.position] * 10), 4)
    for _ in range(15):
        next(steps)
    assert readers()
    steps.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_results_are_buffered_in_bounded_number() -> None:
    made: list[int] = []

    def read(span: Span) -> Iterator[int]:
        for n in range(100):
            made.append(n)
            yield n

    steps = read_parallel(spans_of(50), read, 3)
    for _ in range(5):
        next(steps)
    # Pages returned, pages waiting, and one page per reader.
    assert len(made) <= 5 + 2 * 3 + 3 + 1
    steps.close()  # type: ignore[attr-defined]
