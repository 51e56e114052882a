"""Turns reports into Dagster metadata. This module defines the metadata keys of a run.

The UI plots numbers over time by key, so every run has every key, with a zero if there was nothing
and without a number if it is not known.
Metadata must never contain a subject, an address or a secret: they stay in the event log for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from helpdesk_assets.defs import webhook_chart
from helpdesk_assets.defs.metadata_values import (
    bad_table,
    days_table,
    differences_table,
    missed_table,
    timestamp,
)
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import manifest_to_json, run_counts_to_json
from helpdesk_assets.model.job_costs import dollars
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.reconciliation import DifferenceKind, DifferenceOutcome
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import JudgedBy, MissedUpdate, WebhookCounts, WebhookDay
from helpdesk_assets.operations.archive import NO_ARCHIVE
from helpdesk_assets.operations.drain import DrainReport
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport

Metadata = dict[str, Any]

# Asset names. Materialisations are looked up by them.
RAW_TICKET_CHANGES = "raw_ticket_changes"
MISSED_UPDATES = "missed_updates"
TICKETS_TABLE = "tickets_table"
SYNC_WATERMARK = "sync_watermark"
WEBHOOK_HEALTH = "webhook_health"
TICKET_INVENTORY = "ticket_inventory"
TICKET_BACKFILL = "ticket_backfill"
DRAINED_WEBHOOKS = "drained_webhooks"
ASSET_NAMES = (RAW_TICKET_CHANGES, MISSED_UPDATES, TICKETS_TABLE, SYNC_WATERMARK)

BATCH_ID = "batch_id"
MANIFEST = "manifest"
FACTS = "facts"
TABLE_NAME = "dagster/table_name"
# The first few tickets that a check is about. An alert names them.
TICKET_IDS = "ticket_ids"
JOB_COUNTS = ("query_jobs", "load_jobs", "bytes_billed")

# One more than an alert names, so that it can say "and more".
MAX_TICKET_IDS = 11


def merged(
    report: MergeReport, table_id: str, job_url: str = "", price_per_tib: float = 0.0
) -> Metadata:
    """Metadata of one write. Without inserts and updates if BigQuery does not report them.

    Args:
        report: The write.
        table_id: The table's full name.
        job_url: The page of its job in Google's console; empty if there is none.
        price_per_tib: Dollars for a TiB of billed bytes.
    """
    values: Metadata = {
        "rows_changed": report.changed,
        "rows_inserted": report.inserted,
        "rows_updated": report.updated,
        "query_jobs": report.query_jobs,
        "load_jobs": report.load_jobs,
        "bytes_billed": report.bytes_billed,
        "dollars_billed": dollars(report.bytes_billed, price_per_tib),
        "merge_seconds": round(report.seconds, 3),
        "job_ids": ", ".join(report.job_ids),
        "job": dg.MetadataValue.url(job_url) if job_url else None,
        TABLE_NAME: table_id,
    }
    return {key: value for key, value in values.items() if value is not None}


def fetched(manifest: Manifest) -> Metadata:
    """Metadata of raw_ticket_changes: what the run read, and the manifest for the next steps."""
    return {
        BATCH_ID: manifest.batch_id,
        "mode": manifest.mode.value,
        "reason": manifest.reason,
        "what_was_wrong_with_the_tables": manifest.ground_reason or "",
        "notice": manifest.mapping_notice or "",
        "window_since": timestamp(manifest.window.since),
        "window_until": timestamp(manifest.window.until),
        "tickets_fetched": manifest.rows,
        "pages": manifest.pages,
        "api_calls": manifest.api.calls,
        "api_bytes": manifest.api.bytes_received,
        "api_retries": manifest.api.retries,
        "api_wait_seconds": float(round(manifest.api.seconds_waited, 3)),
        "numbers_as_text": manifest.api.numbers_as_text,
        "bad_tickets": manifest.bad_count,
        "bad_tickets_named": bad_table(manifest.bad),
        "lag_p50_seconds": float(manifest.lag_p50),
        "lag_p95_seconds": float(manifest.lag_p95),
        "lag_max_seconds": float(manifest.lag_max),
        "fetch_seconds": float(round(manifest.seconds, 3)),
        MANIFEST: dg.MetadataValue.json(manifest_to_json(manifest)),
    }


def batch_reference(manifest: Manifest) -> Metadata:
    """The batch that a step worked on."""
    return {BATCH_ID: manifest.batch_id}


def committed(
    manifest: Manifest,
    facts: RunCounts,
    state: SyncState | None,
    jobs: Mapping[str, int],
    now: datetime,
    price_per_tib: float = 0.0,
) -> Metadata:
    """Metadata of sync_watermark: the whole run, as the warehouse counted it at its commit.

    Args:
        manifest: The batch.
        facts: The warehouse's counts.
        state: The state row after the commit.
        jobs: Query jobs, load jobs and bytes billed by the whole run, see `JOB_COUNTS`.
        now: Current time, UTC.
        price_per_tib: Dollars for a TiB of billed bytes.
    """
    watermark = state.watermark if state else None
    lag = (now - watermark).total_seconds() if watermark else 0.0
    return batch_reference(manifest) | {
        "mode": manifest.mode.value,
        "reason": manifest.reason,
        "tickets_synced": facts.tickets,
        "rows_inserted": facts.inserted,
        "rows_updated": facts.updated,
        "rows_unchanged": facts.unchanged,
        "rows_rejected_as_older": facts.rejected,
        "webhooks": facts.webhooks.text,
        "missed": _to_metadata_value(facts.missed_total if facts.webhooks.is_judged else None),
        "missed_named": missed_table(facts.missed, facts.missed_total),
        **_webhook_counts(facts.webhooks),
        "behind_p99_seconds": facts.index_lag_p99,
        "table_rows": facts.rows,
        "rows_lost": facts.rows_lost,
        "tickets_behind": facts.behind,
        "batch_tickets": facts.batch_tickets,
        "watermark": timestamp(watermark),
        "watermark_lag_seconds": float(round(lag, 3)),
        "state_version": state.version if state else 0,
        **{name: jobs.get(name, 0) for name in JOB_COUNTS},
        "dollars_billed": dollars(jobs.get("bytes_billed", 0), price_per_tib),
        FACTS: dg.MetadataValue.json(run_counts_to_json(facts)),
    }


def _webhook_counts(webhooks: WebhookCounts) -> Metadata:
    counts = {
        "late": webhooks.late,
        "not_subscribed": webhooks.not_subscribed,
        "webhook_only": webhooks.webhook_only,
        "webhook_events": webhooks.events,
    }
    is_known = webhooks.judged_by is JudgedBy.EVENTS
    return {key: _to_metadata_value(value if is_known else None) for key, value in counts.items()}


def health(days: Sequence[WebhookDay], today: date, judging: Judging) -> Metadata:
    """Metadata of webhook_health: a chart and a table of all days.

    The numbers, which the UI plots, are those of the last whole day and the totals. Where nothing
    is judged there are none, and the chart's place says why.
    """
    yesterday = today - timedelta(days=1)
    last = next((day for day in days if day.day == yesterday), WebhookDay(yesterday, 0, 0, 0))
    is_judged = judging.by is not JudgedBy.NOTHING
    chart = webhook_chart.chart_markdown(days) if is_judged else judging.text
    numbers = {
        "delivered": last.delivered,
        "late": last.late,
        "missed": last.missed,
        "missed_share": last.missed_share if last.delivered + last.missed else None,
        "latency_p50_seconds": last.latency_p50,
        "latency_p95_seconds": last.latency_p95,
        "latency_p99_seconds": last.latency_p99,
        "delivered_in_all": sum(day.delivered for day in days),
        "missed_in_all": sum(day.missed for day in days),
    }
    return {
        "chart": dg.MetadataValue.md(chart),
        "webhooks": judging.text,
        "days": days_table(days),
        "day": last.day.isoformat(),
        **{k: _to_metadata_value(value if is_judged else None) for k, value in numbers.items()},
    }


def backfilled(manifest: Manifest | None, facts: RunCounts, jobs: Mapping[str, int]) -> Metadata:
    """Metadata of ticket_backfill.

    Args:
        manifest: The batch; None if there was nothing to read.
        facts: The warehouse's counts.
        jobs: Query and load jobs.
    """
    window = manifest.window if manifest else None
    return {
        "window_since": timestamp(window.since if window else None),
        "window_until": timestamp(window.until if window else None),
        "tickets_fetched": manifest.rows if manifest else 0,
        "pages": manifest.pages if manifest else 0,
        "api_calls": manifest.api.calls if manifest else 0,
        "api_wait_seconds": float(round(manifest.api.seconds_waited, 3)) if manifest else 0.0,
        "bad_tickets": manifest.bad_count if manifest else 0,
        "bad_tickets_named": bad_table(manifest.bad if manifest else ()),
        "inserted": facts.inserted,
        "updated": facts.updated,
        "unchanged": facts.unchanged,
        "rejected_as_older": facts.rejected,
        "repeated_keys": facts.repeated_keys,
        "repeated_rows_removed": sum(each.removed for each in facts.repeated),
        "query_jobs": jobs.get("query_jobs", 0),
        "load_jobs": jobs.get("load_jobs", 0),
    }


def reconciled(report: ReconcileReport) -> Metadata:
    """Metadata of ticket_inventory: what was found, its outcome, and how complete the list was."""
    snapshot = report.snapshot
    return {
        "sweep_id": snapshot.sweep_id,
        "listed_at": timestamp(snapshot.listed_at),
        "changes_count_until": timestamp(report.until),
        "tickets_listed": report.row_counts.listed,
        "tickets_by_the_helpdesk": _to_metadata_value(snapshot.total),
        "rows_that_have_not_gone": report.row_counts.alive,
        "pages": snapshot.pages,
        "unreadable": report.unreadable,
        **{kind.value: report.count(kind) for kind in DifferenceKind},
        **{outcome.value: report.count(None, outcome) for outcome in DifferenceOutcome},
        "unrepaired": report.unrepaired,
        "unproven": report.repaired.unproven,
        **(report.archive or NO_ARCHIVE).facts,
        "refused": report.refused or "",
        "only_looked": report.was_dry_run,
        "differences": differences_table(report.found),
        "api_calls": report.api_calls,
        "query_jobs": report.query_jobs,
        "load_jobs": report.load_jobs,
        "seconds": float(round(report.seconds, 3)),
    }


def check_metadata(facts: Mapping[str, Any]) -> Metadata:
    """Metadata of a check: its facts, and the ids of the tickets that they name."""
    values: Metadata = {
        key: timestamp(value) if isinstance(value, datetime) else _to_metadata_value(value)
        for key, value in facts.items()
    }
    named = [value for value in facts.values() if _is_missed(value)]
    if named:
        ids = list(dict.fromkeys(missed.ticket_id for value in named for missed in value))
        values[TICKET_IDS] = dg.MetadataValue.json(ids[:MAX_TICKET_IDS])
    return values


def _to_metadata_value(value: Any) -> Any:
    if _is_missed(value):
        return missed_table(value, len(value))
    return dg.MetadataValue.null() if value is None else value


def _is_missed(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(row, MissedUpdate) for row in value)


def drained(report: DrainReport, use: JobUsage) -> Metadata:
    """Metadata of a drain. All but `fetched` count events of webhooks."""
    return {
        "waiting": report.waiting,
        "merged": report.merged,
        "fetched": report.fetched,
        "unknown": report.unknown,
        "not_stored": report.not_stored,
        "left": report.left,
        "oldest": timestamp(report.oldest),
        "seconds": report.seconds,
        "query_jobs": use.query_jobs,
        "bytes_billed": use.bytes_billed,
    }
