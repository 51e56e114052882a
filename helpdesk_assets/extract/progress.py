"""How much of a window has been read, how fast, and how long the rest may take.

No helpdesk says how many tickets will come. What is known is the share of the window by time, which
grows more slowly where tickets are dense. Must not know who is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.model.tickets import Page

# Below this share an estimate of the rest would be random.
MIN_SHARE_FOR_ESTIMATE = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come after a page.

    Attributes:
        rows: tickets so far.
        pages: pages so far.
        reached: the newest modified time of the page.
        share: share of the window that has been read, 0 to 1; None if the adapter cannot tell.
        calls_per_minute: calls to the helpdesk since the run began.
        seconds_left: an estimate; None below `MIN_SHARE_FOR_ESTIMATE`.
    """

    rows: int
    pages: int
    reached: datetime | None
    share: float | None = None
    calls_per_minute: float = 0.0
    seconds_left: float | None = None

    def describe(self) -> str:
        """Describe it for logs and progress bars."""
        parts = [f"{self.rows:,} tickets in {self.pages:,} pages"]
        if self.share is not None:
            parts.append(f"{self.share:.0%} of the window")
        if self.calls_per_minute:
            parts.append(f"{self.calls_per_minute:,.0f} calls a minute")
        if self.seconds_left is not None:
            parts.append(f"about {_duration(self.seconds_left)} to go")
        return ", ".join(parts)


class ProgressTracker:
    """Measures the progress of one run."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        calls: Callable[[], int],
        share: float | None,
    ) -> None:
        """Start measuring.

        Args:
            monotonic: seconds.
            calls: calls made to the helpdesk so far.
            share: the share that an interrupted run had read already.
        """
        self._monotonic = monotonic
        self._calls = calls
        self._began = monotonic()
        self._calls_before = calls()
        self._share_before = share or 0.0

    def progress(self, rows: int, pages: int, page: Page) -> Progress:
        """Return the progress after this page."""
        seconds = self._monotonic() - self._began
        calls = self._calls() - self._calls_before
        return Progress(
            rows,
            pages,
            max((ticket.modified_time for ticket in page.tickets), default=None),
            page.share,
            calls * 60 / seconds if seconds > 0 else 0.0,
            self._seconds_left(page.share, seconds),
        )

    def _seconds_left(self, share: float | None, seconds: float) -> float | None:
        gained = (share or 0.0) - self._share_before
        if share is None or gained < MIN_SHARE_FOR_ESTIMATE:
            return None
        return seconds * (1 - share) / gained


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
