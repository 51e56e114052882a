"""The demo from its beginning to its end: set up, play, judge, clean up."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta
from importlib import import_module

from rich.console import Console

from helpdesk_assets.local.demo import report
from helpdesk_assets.local.demo.environment import start_environment
from helpdesk_assets.local.demo.results import find_mismatches
from helpdesk_assets.settings import Settings

SPREAD = timedelta(minutes=20)
# The default; the demo's environment sets no other.
GRACE = timedelta(seconds=Settings.model_fields["webhook_grace_seconds"].default)
MARGIN = timedelta(minutes=1)


def run_demo(tickets: int, console: Console | None = None) -> bool:
    """Tell the story; whether everything came out as it should.

    Raises:
        HelpdeskAssetsError: a part of it could not be started, or a run failed.
    """
    console = console or Console(highlight=False)
    started = time.monotonic()
    _silence_logs()
    report.step(
        console,
        f"Start here: a helpdesk with {tickets:,} tickets, a webhook receiver, an empty BigQuery.",
    )
    wait = GRACE + MARGIN
    # The helpdesk's clock is moved on by the story. It must not begin behind the receiver's, by
    # which each webhook would then have come too late.
    start = datetime.now(UTC)
    imported = _import_in_background("helpdesk_assets.local.demo.scenario")
    with start_environment(tickets, start) as environment:
        imported.join()
        from helpdesk_assets.local.demo.scenario import run_scenario

        demo_result = run_scenario(environment, tickets, SPREAD, wait, console)
    report.print_result(console, demo_result)
    mismatches = list(find_mismatches(demo_result))
    report.print_verdict(console, mismatches, time.monotonic() - started)
    return not mismatches


def _import_in_background(module: str) -> threading.Thread:
    """Import what takes seconds while the stand-ins start, which takes seconds as well. Until the
    thread is joined nothing else may import of the same: two threads can meet half a module."""
    thread = threading.Thread(target=import_module, args=(module,), daemon=True)
    thread.start()
    return thread


def _silence_logs() -> None:
    """Only the story is to be read: Dagster warns of its betas and logs each step."""
    warnings.simplefilter("ignore")
    for name in ("dagster", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
