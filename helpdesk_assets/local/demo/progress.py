"""A bar over the first load, by the helpdesk's own count of the tickets it has served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from helpdesk_assets.local.simulator.admin_client import HelpdeskControl

EVERY_SECONDS = 0.2


@contextmanager
def load_bar(console: Console, helpdesk_url: str, tickets: int) -> Iterator[None]:
    """Shown on a terminal; elsewhere nothing is polled either."""
    if not console.is_terminal:
        yield
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(bars, helpdesk_url, tickets, done), name="load-bar", daemon=True
    )
    with bars:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _watch(bars: Progress, helpdesk_url: str, tickets: int, done: threading.Event) -> None:
    task = bars.add_task("  reading", total=tickets)
    merging = False
    with HelpdeskControl(helpdesk_url) as control:
        try:
            before = control.counters().tickets_served
            while not done.wait(EVERY_SECONDS):
                served = control.counters().tickets_served - before
                told = f"  {min(served, tickets):,} of {tickets:,} tickets read"
                if served < tickets:
                    bars.update(task, completed=served, description=told)
                elif not merging:
                    # Another bar, without an end: a finished one's time stands still.
                    merging = True
                    bars.remove_task(task)
                    bars.add_task(f"{told}; storing and merging them", total=None)
        except requests.RequestException:
            # The helpdesk is gone; whoever syncs says so, and better.
            return
