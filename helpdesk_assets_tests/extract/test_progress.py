"""What is told of a long reading."""

from __future__ import annotations

from helpdesk_assets.extract.progress import Pace, Progress
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, page, ticket


class Watch:
    def __init__(self, share: float | None = None) -> None:
        self.now = 100.0
        self.calls = 7
        self.pace = Pace(timer=lambda: self.now, calls=lambda: self.calls, share=share)


def test_calls_a_minute_and_the_time_to_go() -> None:
    watch = Watch()
    watch.now += 30
    watch.calls += 60
    told = watch.pace.progress(300, 3, page(ticket("1", 60), ticket("2", 0), share=0.25))
    assert told == Progress(300, 3, NOON, 0.25, 120.0, 90.0)
    assert told.told() == (
        "300 tickets in 3 pages, 25% of the time they lie in, 120 calls a minute, about 2 min to go"
    )


def test_what_was_read_before_the_interruption_took_no_time_now() -> None:
    watch = Watch(share=0.5)
    watch.now += 60
    assert watch.pace.progress(1, 1, page(share=0.75)).seconds_left == 60.0


def test_no_guess_from_next_to_nothing() -> None:
    watch = Watch(share=0.5)
    watch.now += 60
    assert watch.pace.progress(1, 1, page(share=0.51)).seconds_left is None
    assert watch.pace.progress(1, 1, page()).seconds_left is None


def test_hours_are_told_as_hours() -> None:
    assert Progress(1, 1, None, seconds_left=3 * 3600).told().endswith("about 3.0 h to go")
