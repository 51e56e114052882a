"""Progress on stderr while tickets are fetched: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from helpdesk_assets.extract.progress import Progress

SECONDS_PER_LINE = 30.0
_PHASE_LABELS = {"fetch": "storing versions", "store": "looking for missed updates"}
_PHASE_LABELS |= {"missed": "merging", "merge": "closing the run"}


class ProgressListener(Protocol):
    """Is called while a run fetches and writes."""

    def on_page(self, progress: Progress) -> None:
        """Called after each page that was fetched."""

    def on_phase(self, phase: str) -> None:
        """Called after each phase, with its name."""


@contextmanager
def fetch_progress() -> Iterator[ProgressListener]:
    """Show the progress of a run: a bar on a terminal, lines elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield FetchProgressLog()
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
        yield FetchProgressBar(bars)


@contextmanager
def count_progress(what: str) -> Iterator[Callable[[int], None]]:
    """Print a count every half minute; a short run prints none."""
    last = time.monotonic()

    def count(so_far: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_PER_LINE:
            last = time.monotonic()
            click.echo(f"{so_far:,} {what}", err=True)

    yield count


class FetchProgressBar:
    """A bar on a terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("fetching", total=None, note="")

    def on_page(self, progress: Progress) -> None:
        """Move the bar to the share of the window that is read."""
        note = progress.describe()
        if progress.reached is not None:
            note += f", up to {progress.reached:%Y-%m-%d %H:%M}"
        if progress.share is None:
            # Unknown, as for the listing.
            self._bars.update(self._task, note=note)
        else:
            self._bars.update(self._task, total=1.0, completed=progress.share, note=note)

    def on_phase(self, phase: str) -> None:
        """Show what the run does next."""
        if phase in _PHASE_LABELS:
            # A new bar without a total replaces the old one: rich cannot remove a total.
            self._bars.remove_task(self._task)
            self._task = self._bars.add_task(_PHASE_LABELS[phase], total=None, note="")


class FetchProgressLog:
    """A line every half minute; a short run prints none."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = monotonic()

    def on_page(self, progress: Progress) -> None:
        """Print a line if the last one is old enough."""
        if self._monotonic() - self._last >= SECONDS_PER_LINE:
            self._last = self._monotonic()
            click.echo(progress.describe(), err=True)

    def on_phase(self, phase: str) -> None:
        """Print nothing: the summary at the end names the phases."""
