"""The progress messages of a long fetch."""

from __future__ import annotations

from helpdesk_assets.extract.progress import Progress, ProgressTracker
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, page, ticket


class Watch:
    def __init__(self, share: float | None = None) -> None:
        self.now = 100.0
        self.calls = 7
        self.pace = ProgressTracker(
            monotonic=lambda: self.now, calls=lambda: self.calls, share=share
        )


def test_calls_per_minute_and_remaining_time() -> None:
    watch = Watch()
    watch.now += 30
    watch.calls += 60
    describe = watch.pace.progress(300, 3, page(ticket("1", 60), ticket("2", 0), share=0.25))
    assert describe == Progress(300, 3, NOON, 0.25, 120.0, 90.0)
    assert describe.describe() == (
        "300 tickets in 3 pages, 25% of the window, 120 calls a minute, about 2 min to go"
    )


def test_rates_exclude_pages_read_before_an_interruption() -> None:
    watch = Watch(share=0.5)
    watch.now += 60
    assert watch.pace.progress(1, 1, page(share=0.75)).seconds_left == 60.0


def test_no_estimate_from_too_little_data() -> None:
    watch = Watch(share=0.5)
    watch.now += 60
    assert watch.pace.progress(1, 1, page(share=0.51)).seconds_left is None
    assert watch.pace.progress(1, 1, page()).seconds_left is None


def test_hours_are_shown_as_hours() -> None:
    assert Progress(1, 1, None, seconds_left=3 * 3600).describe().endswith("about 3.0 h to go")
