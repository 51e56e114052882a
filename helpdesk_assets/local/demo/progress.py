"""Progress bar of the first load, by the number of tickets that the helpdesk has served."""

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
    """Show the bar inside the block; without a terminal, do nothing.

    Args:
        console: the demo's output.
        helpdesk_url: base URL of the simulated helpdesk.
        tickets: number of tickets to load.
    """
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
    task = bars.add_task("  reading tickets", total=tickets)
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
                    # A new bar without a total: a finished bar shows no further elapsed time.
                    merging = True
                    bars.remove_task(task)
                    bars.add_task(f"{progress_text}, now storing and merging them", total=None)
        except requests.RequestException:
            # The helpdesk is unreachable; the sync reports that with a better message.
            return
