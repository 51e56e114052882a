"""Reads the runs that have ended since the last tick, in the order of their ends.

Dagster has no sensor for asset checks, and check events have no global order to resume from: on
SQLite, event ids restart in each run's file. Run status events have one, so the sensor follows
those and reads the checks of each ended run. It therefore misses checks of a run that has not
ended, and evaluations that are reported without a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import takewhile

import dagster as dg

from helpdesk_assets.alerts.findings import RunReport
from helpdesk_assets.defs.alerts.run_reports import Watcher, build_report

END_EVENTS = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
PAGE_SIZE = 25
# Dagster ends a tick after 60 s. The next tick reads what is left.
READ_BUDGET_SECONDS = 10.0


def latest_cursors(instance: dg.DagsterInstance) -> dict[str, str]:
    """Returns cursors after the latest event of each type, so that older runs are not reported."""
    return {
        end.value: instance.fetch_run_status_changes(end, limit=1, ascending=False).cursor
        for end in END_EVENTS
    }


def read_reports(
    instance: dg.DagsterInstance,
    cursors: Mapping[str, str],
    watcher: Watcher,
    *,
    page_size: int = PAGE_SIZE,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[list[RunReport], dict[str, str]]:
    """Reads the runs in scope that have ended since.

    Args:
        instance: Dagster's instance.
        cursors: Where the last tick stopped, by event type.
        watcher: Whose runs to report.
        page_size: Events per query.
        monotonic: Monotonic clock, in seconds.

    Returns:
        The reports in the order of the runs' ends, and the cursors after them.
    """
    reports: list[RunReport] = []
    read, more, end = dict(cursors), True, monotonic() + READ_BUDGET_SECONDS
    while more and monotonic() < end:
        entries, read, more = _next_end_events(instance, read, page_size)
        found = (build_report(instance, entry, watcher) for entry in entries)
        reports.extend(report for report in found if report is not None)
    return reports, read


def _next_end_events(
    instance: dg.DagsterInstance, cursors: Mapping[str, str], page_size: int
) -> tuple[list[dg.EventLogEntry], dict[str, str], bool]:
    """Reads up to a page of events of each type, sorted by time.

    If a type has more than a page, the others are read only up to its last event. Otherwise a later
    failure could be reported before an earlier success.

    Returns:
        The events, the cursors after them, and whether there are more.
    """
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
            # A cursor's format is Dagster's own. A query for just these events returns theirs.
            again = instance.fetch_run_status_changes(
                end, limit=len(within), cursor=cursors.get(end.value), ascending=True
            )
            read[end.value] = again.cursor
        entries.extend(record.event_log_entry for record in within)
    return sorted(entries, key=lambda entry: entry.timestamp), read, bool(full)
