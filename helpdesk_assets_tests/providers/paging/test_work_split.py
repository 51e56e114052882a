"""Stretches are shared out by time, and only where that is worth a call."""

from __future__ import annotations

import threading

from helpdesk_assets.providers.paging.work_split import Span, Spans
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, at


def one(end: float = 1000.0, now: float = 1000.0) -> tuple[Spans, Span]:
    spans = Spans([Span(at(0), at(end), last=True)], tick=SECOND, now=lambda: at(now))
    span = spans.take()
    assert span is not None
    return spans, span


def test_half_of_what_the_busiest_has_before_it_is_another_readers() -> None:
    spans, span = one()
    spans.advance(span, at(200), 0.1)
    half = spans.take()
    assert half is not None
    assert (half.at, half.end, half.last) == (at(600), at(1000), True)
    assert (span.end, span.last) == (at(600), False)


def test_what_is_read_sooner_than_shared_is_not() -> None:
    spans, span = one()
    assert not spans.are_worth_sharing
    spans.advance(span, at(200), 1.9 / 800)
    assert not spans.are_worth_sharing
    spans.advance(span, at(200), 2.1 / 800)
    assert spans.are_worth_sharing


def test_the_end_of_time_is_no_measure_of_what_is_left() -> None:
    spans, span = one(end=1e9, now=1000)
    spans.advance(span, at(200), 0.1)
    half = spans.take()
    assert half is not None
    assert (half.at, half.end) == (at(600), at(1e9))


def test_the_end_of_a_cut_stretch_is_the_next_ones() -> None:
    spans, span = one()
    spans.advance(span, at(200), 0.1)
    spans.take()
    assert span.holds(at(599))
    assert not span.holds(at(600))
    assert not spans.advance(span, at(600), 0.1)


def test_the_end_of_the_window_belongs_to_it() -> None:
    spans, span = one()
    assert spans.advance(span, at(1000), None)
    assert not span.holds(at(1001))


def test_stretches_that_wait_come_first_and_in_order() -> None:
    waiting = [Span(at(n), at(n + 10), last=False) for n in (0, 20, 40)]
    spans = Spans(waiting, tick=SECOND, now=lambda: None)
    assert spans.are_worth_sharing
    assert [spans.take() for _ in waiting] == waiting


def test_who_finds_nothing_waits_until_the_others_are_done() -> None:
    spans, span = one()
    taken: list[Span | None] = []
    idle = threading.Thread(target=lambda: taken.append(spans.take()))
    idle.start()
    spans.give_back(span)
    idle.join(10)
    assert taken == [None]


def test_nobody_waits_for_a_reading_that_was_stopped() -> None:
    spans, _ = one()
    spans.stop()
    assert spans.take() is None
