"""Work is split by time, and only if the rest is worth a call."""

from __future__ import annotations

import threading

from helpdesk_assets.providers.paging.work_split import Span, WorkSplit
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, at


def one(end: float = 1000.0, opened_at: float = 1000.0) -> tuple[WorkSplit, Span]:
    spans = WorkSplit(
        [Span(at(0), at(end), last=True)], tick=SECOND, opened_at=lambda: at(opened_at)
    )
    span = spans.acquire()
    assert span is not None
    return spans, span


def test_idle_reader_takes_half_of_the_largest_remainder() -> None:
    spans, span = one()
    spans.advance(span, at(200), 0.1)
    half = spans.acquire()
    assert half is not None
    assert (half.position, half.end, half.last) == (at(600), at(1000), True)
    assert (span.end, span.last) == (at(600), False)


def test_small_remainder_is_not_split() -> None:
    spans, span = one()
    assert not spans.is_worth_splitting
    spans.advance(span, at(200), 1.9 / 800)
    assert not spans.is_worth_splitting
    spans.advance(span, at(200), 2.1 / 800)
    assert spans.is_worth_splitting


def test_open_end_is_not_counted_as_remaining_work() -> None:
    spans, span = one(end=1e9, opened_at=1000)
    spans.advance(span, at(200), 0.1)
    half = spans.acquire()
    assert half is not None
    assert (half.position, half.end) == (at(600), at(1e9))


def test_end_of_a_split_span_belongs_to_the_next() -> None:
    spans, span = one()
    spans.advance(span, at(200), 0.1)
    spans.acquire()
    assert span.contains(at(599))
    assert not span.contains(at(600))
    assert not spans.advance(span, at(600), 0.1)


def test_end_of_the_window_is_included() -> None:
    spans, span = one()
    assert spans.advance(span, at(1000), None)
    assert not span.contains(at(1001))


def test_waiting_spans_come_first_and_in_order() -> None:
    waiting = [Span(at(n), at(n + 10), last=False) for n in (0, 20, 40)]
    spans = WorkSplit(waiting, tick=SECOND, opened_at=lambda: None)
    assert spans.is_worth_splitting
    assert [spans.acquire() for _ in waiting] == waiting


def test_idle_reader_waits_until_the_others_finish() -> None:
    spans, span = one()
    taken: list[Span | None] = []
    idle = threading.Thread(target=lambda: taken.append(spans.acquire()))
    idle.start()
    spans.release(span)
    idle.join(10)
    assert taken == [None]


def test_stopped_reading_releases_waiting_readers() -> None:
    spans, _ = one()
    spans.stop()
    assert spans.acquire() is None
