"""A bar on stderr while tickets are fetched; nothing where stderr is no terminal.

The helpdesk does not say how many tickets are to come, but they come in order of their modified
time. So the bar shows how far the fetch has come between the first time it saw and now.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from helpdesk_assets.sync.fetch import Progress

_AFTER = {"fetch": "storing versions", "store": "looking for missed updates"}
_AFTER |= {"missed": "merging", "merge": "closing the run"}


class Watcher(Protocol):
    """Hears of a run while it goes on."""

    def on_page(self, progress: Progress) -> None: ...

    def on_phase(self, phase: str) -> None: ...


@contextmanager
def watching() -> Iterator[Watcher]:
    """The one that hears of a run: a bar on a terminal, nobody elsewhere."""
    if not sys.stderr.isatty():
        yield _Nobody()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield FetchBar(bars)


class FetchBar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("fetching", total=None, note="")
        self._first: datetime | None = None
        self._last: datetime | None = None

    def on_page(self, progress: Progress) -> None:
        note = f"{progress.rows:,} tickets in {progress.pages:,} pages"
        reached = progress.reached
        if reached is None:
            self._bars.update(self._task, note=note)
            return
        if self._last is not None and reached < self._last:
            # The listing goes backwards or in no order; how far it has come cannot be told.
            self._begin("fetching", note)
            return
        self._first = self._first or reached
        self._last = reached
        span = (datetime.now(UTC) - self._first).total_seconds()
        done = (reached - self._first).total_seconds()
        note += f", up to {reached:%Y-%m-%d %H:%M}"
        self._bars.update(self._task, total=max(span, done, 1.0), completed=done, note=note)

    def on_phase(self, phase: str) -> None:
        if phase in _AFTER:
            self._begin(_AFTER[phase], "")

    def _begin(self, description: str, note: str) -> None:
        """A bar without an end in the old one's place: rich cannot take an end back."""
        self._bars.remove_task(self._task)
        self._task = self._bars.add_task(description, total=None, note=note)


class _Nobody:
    def on_page(self, progress: Progress) -> None:
        pass

    def on_phase(self, phase: str) -> None:
        pass
