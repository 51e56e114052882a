"""Runs the demo: starts the stand-ins, runs the scenario, judges it, and stops everything."""

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
# The default, which the demo's environment does not override.
GRACE = timedelta(seconds=Settings.model_fields["webhook_grace_seconds"].default)
MARGIN = timedelta(minutes=1)


def run_demo(tickets: int, console: Console | None = None) -> bool:
    """Run the demo and print its results; returns whether all are as expected.

    Raises:
        HelpdeskAssetsError: a stand-in did not start, or a run failed.
    """
    console = console or Console(highlight=False)
    started = time.monotonic()
    _silence_logs()
    report.step(
        console,
        f"Starting a helpdesk with {tickets:,} tickets, an empty BigQuery and a webhook receiver.",
    )
    wait = GRACE + MARGIN
    # The scenario moves the helpdesk's clock forward. If the clock started behind the receiver's,
    # every webhook would count as late.
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
    """Import a slow module while the stand-ins start.

    Join the thread before importing the same modules: two threads can see a half-loaded module.
    """
    thread = threading.Thread(target=import_module, args=(module,), daemon=True)
    thread.start()
    return thread


def _silence_logs() -> None:
    """Hide Dagster's beta warnings and step logs, which would bury the demo's output."""
    warnings.simplefilter("ignore")
    for name in ("dagster", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
