"""What a warehouse counts when a run commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import (
    MISSED_REASONS,
    JudgedBy,
    MissedUpdate,
    WebhookCounts,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements import ground_counts
from helpdesk_assets.warehouse.statements.judging_window import judging_window
from helpdesk_assets.warehouse.statements.run_counts import FUTURE_TOLERANCE, MISSED_SAMPLE
from helpdesk_assets.warehouse.stores.state import rows_gone
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.ledger import is_unsubscribed
from helpdesk_assets_tests.in_memory.newer_wins import Row
from helpdesk_assets_tests.in_memory.repeated_rows import count_repeated
from helpdesk_assets_tests.in_memory.webhook_inbox import delivered_events, listening_since


def count_batch(dataset: InMemoryDataset, manifest: Manifest) -> RunCounts:
    """Count the batch's tickets by what became of them."""
    batch = dataset.batch(manifest) if manifest.rows else []
    absent = _not_held(dataset, batch)
    found = len(batch) if manifest.staging else len({row["_seq"] for row in batch})
    if absent or found < manifest.rows:
        raise rows_gone(manifest)
    newest: dict[str, datetime] = {}
    for row in batch:
        at = newest.get(row["ticket_id"], row["modifiedTime"])
        newest[row["ticket_id"]] = max(at, row["modifiedTime"])
    outcomes: list[str] = []
    for held in dataset.rows(tables.TICKETS) if newest else ():
        modified = newest.get(held["ticket_id"])
        if modified is None:
            continue
        if held["_run_id"] == manifest.run_id:
            is_new = held["_first_synced_at"] == held["_synced_at"]
            outcomes.append("inserted" if is_new else "updated")
        else:
            is_newer = held["modifiedTime"] is not None and held["modifiedTime"] > modified
            outcomes.append("rejected" if is_newer else "unchanged")
    return RunCounts(
        inserted=outcomes.count("inserted"),
        updated=outcomes.count("updated"),
        unchanged=outcomes.count("unchanged"),
        rejected=outcomes.count("rejected"),
    )


def is_stored(dataset: InMemoryDataset, manifest: Manifest) -> bool:
    """Return whether merging a batch that has each ticket once would leave all rows as they are."""
    batch = dataset.batch(manifest)
    held: dict[str, list[Row]] = {row["ticket_id"]: [] for row in batch}
    for row in dataset.rows(tables.TICKETS):
        held.get(row["ticket_id"], []).append(row)
    return len({row["_seq"] for row in batch}) == manifest.rows and all(
        held[row["ticket_id"]] and all(_is_kept(each, row) for each in held[row["ticket_id"]])
        for row in batch
    )


def _is_kept(held: Row, row: Row) -> bool:
    at, is_deleted = held["modifiedTime"], held["deletedTime"] is not None
    if at is None or at < row["modifiedTime"]:
        return False
    if at > row["modifiedTime"]:
        return not is_deleted and row["deletedTime"] is None
    is_same = held["_content_hash"] == row["_content_hash"]
    return is_same and is_deleted == (row["deletedTime"] is not None)


def count_run(
    dataset: InMemoryDataset,
    manifest: Manifest,
    judging: Judging,
    seen: SyncState | None = None,
) -> RunCounts:
    """Count all that a `RunCounts` holds."""
    rows = dataset.rows(tables.TICKETS)
    counted = count_batch(dataset, manifest)
    batch = dataset.batch(manifest) if manifest.rows else []
    missed = sorted(
        (
            MissedUpdate(row["ticket_id"], row["modifiedTime"], row["reason"], row["lag_seconds"])
            for row in dataset.rows(tables.MISSED_UPDATES)
            if row["_run_id"] == manifest.run_id and row["reason"] in MISSED_REASONS
        ),
        key=lambda each: (-each.lag_seconds, each.ticket_id),
    )
    times = [row["modifiedTime"] for row in rows if row["modifiedTime"] is not None]
    repeated = count_repeated(dataset, manifest)
    return replace(
        counted,
        batch_tickets=len({row["ticket_id"] for row in batch}),
        rows=len(rows),
        null_times=sum(row["modifiedTime"] is None and row["deletedTime"] is None for row in rows),
        future_times=sum(at > manifest.served_at + FUTURE_TOLERANCE for at in times),
        missed_total=len(missed),
        missed=tuple(missed[:MISSED_SAMPLE]),
        missed_since=min((each.modified_time for each in missed), default=None),
        index_lag_p99=_index_lag(dataset, manifest),
        webhooks=replace(
            _count_webhooks(dataset, manifest, judging),
            judged_by=judging.by,
            not_judged=judging.not_judged,
            loaded_until=judging.loaded_until,
        ),
        rows_lost=max(
            0, (seen.facts.distinct_rows if seen else 0) - (len(rows) - repeated["repeated_keys"])
        ),
        behind=_behind(dataset, manifest, seen),
        history_rows=len(dataset.rows(tables.RAW_TICKET_CHANGES)),
        repeated_keys=repeated["repeated_keys"],
        repeated_versions=repeated["repeated_versions"],
        repeated_misses=repeated["repeated_misses"],
    )


def _behind(dataset: InMemoryDataset, manifest: Manifest, seen: SyncState | None) -> int:
    if seen is None or manifest.is_range or manifest.mode is Mode.FULL:
        return 0
    after = manifest.served_at - ground_counts.TIME_TRAVEL
    after = max(after, seen.full_load_at or after)
    closed = {run.run_id for run in (*known_runs(seen), *dataset.log.values())}
    versions = [
        row
        for row in dataset.rows(tables.RAW_TICKET_CHANGES)
        if row["_fetched_at"] >= after and row["_run_id"] in closed
    ]
    return len(_not_held(dataset, versions))


def _not_held(dataset: InMemoryDataset, versions: list[Row]) -> set[str]:
    """Return the tickets of which the table has no row, or only an older version."""
    absent = set()
    for version in versions:
        held = dataset.ticket(version["ticket_id"])
        at = held["modifiedTime"] if held else None
        is_older = at is None or at < version["modifiedTime"]
        if held is None or (is_older and not version["_tombstone"]):
            absent.add(version["ticket_id"])
    return absent


def _index_lag(dataset: InMemoryDataset, manifest: Manifest) -> float:
    watermark, since = manifest.initial_watermark, manifest.window.since
    if manifest.rows == 0 or manifest.is_range or manifest.mode is Mode.FULL:
        return 0.0
    if watermark is None or since is None:
        return 0.0
    runs: dict[tuple[str, datetime], set[str]] = {}
    for row in dataset.rows(tables.RAW_TICKET_CHANGES):
        if min(row["_fetched_at"], row["modifiedTime"]) >= since:
            runs.setdefault((row["ticket_id"], row["modifiedTime"]), set()).add(row["_run_id"])
    lags = [
        max(0.0, (watermark - modified).total_seconds())
        for (_, modified), found_by in runs.items()
        if found_by == {manifest.run_id}
    ]
    return float(_quantile(lags, 99) or 0.0)


def _count_webhooks(
    dataset: InMemoryDataset, manifest: Manifest, judging: Judging
) -> WebhookCounts:
    if judging.by is JudgedBy.TABLE:
        return _count_by_table(dataset, manifest, judging)
    if judging.by is JudgedBy.NOTHING:
        return WebhookCounts()
    bounds, policy = judging_window(manifest, judging), judging.policy
    heard, latencies = [], []
    for event in delivered_events(dataset, bounds.reads_from):
        received, version = event["received_at"], event["version"]
        is_believed = version is not None and version <= manifest.served_at
        heard.append(max(received, version) if is_believed else received)
        if heard[-1] > bounds.counted_after and version is not None:
            latencies.append(max(0.0, (event["committed_at"] - version).total_seconds()))
    last = max(heard, default=None)
    listening = listening_since(dataset, bounds.reads_from)
    changes = {
        (row["ticket_id"], row["modifiedTime"])
        for row in dataset.rows(tables.RAW_TICKET_CHANGES)
        if row["_fetched_at"] >= bounds.reads_from
        and row["modifiedTime"] > bounds.heard_after
        and (listening is None or row["modifiedTime"] >= listening)
        and not is_unsubscribed(row, policy)
    }
    ripe = [at for _, at in changes if at <= bounds.delivered_by]
    unheard = [at for at in ripe if last is None or at > last]
    written = [
        row["reason"]
        for row in dataset.rows(tables.MISSED_UPDATES)
        if row["_judged_by"] == manifest.run_id
    ]
    return WebhookCounts(
        judged=sum(at > bounds.counted_after for at in ripe),
        pending=len(changes) - len(ripe),
        late=written.count("late"),
        not_subscribed=written.count("not_subscribed"),
        webhook_only=written.count("webhook_only"),
        events=sum(at > bounds.counted_after for at in heard),
        latency_p50=_quantile(latencies, 50),
        latency_p95=_quantile(latencies, 95),
        last_event=last,
        changes_since_last_event=len(unheard),
        first_change_since_last_event=min(unheard, default=None),
    )


def _count_by_table(
    dataset: InMemoryDataset, manifest: Manifest, judging: Judging
) -> WebhookCounts:
    bounds = judging_window(manifest, judging)
    newest: dict[str, datetime] = {}
    for row in dataset.batch(manifest) if manifest.rows else ():
        at = newest.get(row["ticket_id"], row["modifiedTime"])
        newest[row["ticket_id"]] = max(at, row["modifiedTime"])
    after = manifest.initial_watermark or bounds.since
    return WebhookCounts(
        judged=sum(after < at <= bounds.delivered_by for at in newest.values()),
        pending=sum(at > bounds.delivered_by for at in newest.values()),
    )


def _quantile(values: list[float], percent: int) -> Any:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None
