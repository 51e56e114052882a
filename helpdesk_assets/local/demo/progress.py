"""A bar over the first load, by the helpdesk's own count of the tickets it has served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from helpdesk_assets.local.simulator.admin_client import AdminClient

POLL_SECONDS = 0.2


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
        target=_poll_progress,
        args=(bars, helpdesk_url, tickets, done),
        name="load-bar",
        daemon=True,
    )
    with bars:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _poll_progress(bars: Progress, helpdesk_url: str, tickets: int, done: threading.Event) -> None:
    task = bars.add_task("  reading", total=tickets)
    merging = False
    with AdminClient(helpdesk_url) as admin_client:
        try:
            before = admin_client.counters().tickets_served
            while not done.wait(POLL_SECONDS):
                served = admin_client.counters().tickets_served - before
                progress_text = f"  {min(served, tickets):,} of {tickets:,} tickets read"
                if served < tickets:
                    bars.update(task, completed=served, description=progress_text)
                elif not merging:
                    # Another bar, without an end: a finished one's time stands still.
                    merging = True
                    bars.remove_task(task)
                    bars.add_task(f"{progress_text}; storing and merging them", total=None)
        except requests.RequestException:
            # The helpdesk is gone; whoever syncs says so, and better.
            return
