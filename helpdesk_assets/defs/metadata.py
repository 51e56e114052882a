"""Reports as Dagster metadata: the only place that names the keys of a run.

The UI plots numbers over time by their key, so every key is there on every run, with a zero where
there was nothing. Never a subject, an address or a secret: metadata stays in the event log for
good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from helpdesk_assets.defs import webhook_chart
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import manifest_to_json, run_counts_to_json
from helpdesk_assets.model.reconciliation import DifferenceCount, DifferenceKind, DifferenceOutcome
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.model.webhooks import MissedUpdate, WebhookCounts, WebhookDay
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets.warehouse.table_spec import MergeReport

Metadata = dict[str, Any]

# The assets, by the names that materialisations are looked up by.
RAW_TICKET_CHANGES = "raw_ticket_changes"
MISSED_UPDATES = "missed_updates"
TICKETS_TABLE = "tickets_table"
SYNC_WATERMARK = "sync_watermark"
WEBHOOK_HEALTH = "webhook_health"
TICKET_INVENTORY = "ticket_inventory"
TICKET_BACKFILL = "ticket_backfill"
ASSET_NAMES = (RAW_TICKET_CHANGES, MISSED_UPDATES, TICKETS_TABLE, SYNC_WATERMARK)

BATCH_ID = "batch_id"
MANIFEST = "manifest"
FACTS = "facts"
TABLE_NAME = "dagster/table_name"
# Of the tickets that a check is about, the first few: what an alert names.
TICKET_IDS = "ticket_ids"
JOB_COUNTS = ("query_jobs", "load_jobs", "bytes_billed")

# Rows of a Markdown table. All of them are in missed_updates; this is for reading in the UI.
MAX_TABLE_ROWS = 50
# One more than an alert names, which tells that there are more.
MAX_TICKET_IDS = 11


def merged(report: MergeReport, table_id: str) -> Metadata:
    """What one write did. Inserted and updated are left out where the service does not tell."""
    values: Metadata = {
        "rows_changed": report.changed,
        "rows_inserted": report.inserted,
        "rows_updated": report.updated,
        "query_jobs": report.query_jobs,
        "load_jobs": report.load_jobs,
        "bytes_billed": report.bytes_billed,
        "merge_seconds": round(report.seconds, 3),
        TABLE_NAME: table_id,
    }
    return {key: value for key, value in values.items() if value is not None}


def fetched(manifest: Manifest) -> Metadata:
    """What one run read from the helpdesk, and the manifest for the steps that follow."""
    return {
        BATCH_ID: manifest.batch_id,
        "mode": manifest.mode.value,
        "reason": manifest.reason,
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


def batch_reference(manifest: Manifest | None) -> Metadata:
    """Which batch a step worked on; empty where there was none."""
    return {BATCH_ID: manifest.batch_id if manifest else ""}


def committed(
    manifest: Manifest | None,
    facts: RunCounts,
    state: SyncState | None,
    jobs: Mapping[str, int],
    now: datetime,
) -> Metadata:
    """A whole run, as the warehouse counted it when the run closed. `jobs`: see `JOB_COUNTS`."""
    watermark = state.watermark if state else None
    lag = (now - watermark).total_seconds() if watermark else 0.0
    return batch_reference(manifest) | {
        "mode": manifest.mode.value if manifest else "",
        "reason": manifest.reason if manifest else "nothing was fetched yet",
        "tickets_synced": facts.tickets,
        "rows_inserted": facts.inserted,
        "rows_updated": facts.updated,
        "rows_unchanged": facts.unchanged,
        "rows_rejected_as_older": facts.rejected,
        "missed": facts.missed_total,
        "missed_named": missed_table(facts.missed, facts.missed_total),
        **_webhook_counts(facts.webhooks or WebhookCounts()),
        "behind_p99_seconds": facts.index_lag_p99,
        "table_rows": facts.rows,
        "watermark": timestamp(watermark),
        "watermark_lag_seconds": float(round(lag, 3)),
        "state_version": state.version if state else 0,
        **{name: jobs.get(name, 0) for name in JOB_COUNTS},
        FACTS: dg.MetadataValue.json(run_counts_to_json(facts)),
    }


def _webhook_counts(webhooks: WebhookCounts) -> Metadata:
    return {
        "late": webhooks.late,
        "not_subscribed": webhooks.not_subscribed,
        "webhook_only": webhooks.webhook_only,
        "webhook_events": webhooks.events,
    }


def health(days: Sequence[WebhookDay], today: date) -> Metadata:
    """A chart and a table of the days; as numbers, which the UI plots, the last day that is over,
    and all of them together."""
    yesterday = today - timedelta(days=1)
    whole = next((day for day in days if day.day == yesterday), WebhookDay(yesterday, 0, 0, 0))
    return {
        "chart": dg.MetadataValue.md(webhook_chart.chart_markdown(days)),
        "days": _days_table(days),
        "day": whole.day.isoformat(),
        "delivered": whole.delivered,
        "late": whole.late,
        "missed": whole.missed,
        "missed_share": whole.missed_share,
        "latency_p50_seconds": float(whole.latency_p50 or 0.0),
        "latency_p95_seconds": float(whole.latency_p95 or 0.0),
        "latency_p99_seconds": float(whole.latency_p99 or 0.0),
        "delivered_in_all": sum(day.delivered for day in days),
        "missed_in_all": sum(day.missed for day in days),
    }


def backfilled(manifest: Manifest | None, facts: RunCounts, jobs: Mapping[str, int]) -> Metadata:
    """What one span's reading did; `manifest` None: there was nothing to read."""
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
        "query_jobs": jobs.get("query_jobs", 0),
        "load_jobs": jobs.get("load_jobs", 0),
    }


def _days_table(days: Sequence[WebhookDay]) -> dg.MetadataValue[Any]:
    header = ("day (UTC)", "delivered", "late", "missed", "share", "p50 s", "p95 s", "p99 s")
    rows = (
        (
            day.day.isoformat(),
            f"{day.delivered:,}",
            f"{day.late:,}",
            f"{day.missed:,}",
            f"{day.missed_share:.1%}",
            *(
                "" if seconds is None else f"{seconds:.1f}"
                for seconds in (day.latency_p50, day.latency_p95, day.latency_p99)
            ),
        )
        for day in reversed(days)
    )
    return _table(header, rows, len(days))


def reconciled(report: ReconcileReport) -> Metadata:
    """What a sweep found, what became of it, and how whole it was."""
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
        "refused": report.refused or "",
        "only_looked": report.was_dry_run,
        "differences": _differences_table(report.found),
        "api_calls": report.api_calls,
        "query_jobs": report.query_jobs,
        "load_jobs": report.load_jobs,
        "seconds": float(round(report.seconds, 3)),
    }


def _differences_table(found: Sequence[DifferenceCount]) -> dg.MetadataValue[Any]:
    rows = (
        (each.kind, each.outcome, f"{each.count:,}", ", ".join(each.ticket_ids)) for each in found
    )
    return _table(("kind", "outcome", "tickets", "some of them"), rows, len(found))


def check_metadata(facts: Mapping[str, Any]) -> Metadata:
    """The facts of a verdict; with those about single tickets come the tickets' ids."""
    values: Metadata = {
        key: timestamp(value) if isinstance(value, datetime) else _to_metadata_value(value)
        for key, value in facts.items()
    }
    named = [value for value in facts.values() if _is_missed(value)]
    if named:
        ids = list(dict.fromkeys(missed.ticket_id for value in named for missed in value))
        values[TICKET_IDS] = dg.MetadataValue.json(ids[:MAX_TICKET_IDS])
    return values


def timestamp(at: datetime | None) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.null() if at is None else dg.MetadataValue.timestamp(at)


def missed_table(missed: Sequence[MissedUpdate], total: int) -> dg.MetadataValue[Any]:
    rows = (
        (m.ticket_id, m.reason, f"{m.lag_seconds:.0f}", f"{m.modified_time:%Y-%m-%d %H:%M:%S}")
        for m in missed
    )
    return _table(("ticket", "reason", "lag in s", "changed at (UTC)"), rows, total)


def bad_table(bad: Sequence[BadTicket]) -> dg.MetadataValue[Any]:
    rows = ((ticket.ticket_id, ticket.field, ticket.problem) for ticket in bad)
    return _table(("ticket", "field", "problem"), rows, len(bad))


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], total: int
) -> dg.MetadataValue[Any]:
    body = [_table_row(row) for row in rows][:MAX_TABLE_ROWS]
    if not body:
        return dg.MetadataValue.md("none")
    more = [f"\n… and {total - len(body)} more"] if total > len(body) else []
    return dg.MetadataValue.md(
        "\n".join([_table_row(header), "|---" * len(header) + "|", *body, *more])
    )


def _table_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _to_metadata_value(value: Any) -> Any:
    if _is_missed(value):
        return missed_table(value, len(value))
    return dg.MetadataValue.null() if value is None else value


def _is_missed(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(row, MissedUpdate) for row in value)
