"""Follows the runs that end, in the order in which they do.

Asset checks have no sensor of their own in Dagster, and their events no order that can be read on
from: on SQLite, ids count anew in each run's file. The ends of runs have one, so these are followed
and each run is then asked for its checks. Left out, therefore: checks of a run that has not ended,
and verdicts that are reported without any run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import takewhile

import dagster as dg

from helpdesk_assets.alerts.findings import RunReport
from helpdesk_assets.defs.alerts.run_reports import AlertScope, build_report

END_EVENTS = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
PAGE_SIZE = 25
# A tick ends after 60 s; what is not read now is read by the next one.
READ_BUDGET_SECONDS = 10.0


def latest_cursors(instance: dg.DagsterInstance) -> dict[str, str]:
    """Cursors behind the latest end of each kind: what ended before is never told."""
    return {
        end.value: instance.fetch_run_status_changes(end, limit=1, ascending=False).cursor
        for end in END_EVENTS
    }


def read_reports(
    instance: dg.DagsterInstance,
    cursors: Mapping[str, str],
    scope: AlertScope,
    location: str | None,
    *,
    page_size: int = PAGE_SIZE,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[list[RunReport], dict[str, str]]:
    """Reports of our runs that ended since, in the order of their ends, and the cursors behind
    them. `location` is the sensor's own code location."""
    reports: list[RunReport] = []
    read, more, end = dict(cursors), True, monotonic() + READ_BUDGET_SECONDS
    while more and monotonic() < end:
        entries, read, more = _next_end_events(instance, read, page_size)
        found = (build_report(instance, entry, scope, location) for entry in entries)
        reports.extend(report for report in found if report is not None)
    return reports, read


def _next_end_events(
    instance: dg.DagsterInstance, cursors: Mapping[str, str], page_size: int
) -> tuple[list[dg.EventLogEntry], dict[str, str], bool]:
    """Up to a page of ends of each kind, in order. Where one kind has more than a page, the others
    are read no further than it: a failure of now must not come before a success of then."""
    pages = {
        end: instance.fetch_run_status_changes(
            end, limit=page_size, cursor=cursors.get(end.value), ascending=True
        )
        for end in END_EVENTS
    }
    full = [found.records[-1].timestamp for found in pages.values() if found.has_more]
    horizon = min(full, default=float("inf"))
    read, entries = dict(cursors), list[dg.EventLogEntry]()
    for end, found in pages.items():
        within = list(takewhile(lambda record: record.timestamp <= horizon, found.records))
        if len(within) == len(found.records):
            read[end.value] = found.cursor
        elif within:
            # Cursors are Dagster's to make: asked for just these, it gives the one behind them.
            again = instance.fetch_run_status_changes(
                end, limit=len(within), cursor=cursors.get(end.value), ascending=True
            )
            read[end.value] = again.cursor
        entries.extend(record.event_log_entry for record in within)
    return sorted(entries, key=lambda entry: entry.timestamp), read, bool(full)
