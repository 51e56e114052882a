"""What the ledger is written: by the tickets table, or by the events of the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.judging import Judging, judging_of_run
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhooks import JudgedBy, LedgerReason, WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements.judging_window import JudgingWindow, judging_window
from helpdesk_assets.warehouse.statements.missed_updates import DELETION_TOLERANCE
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.newer_wins import Row
from helpdesk_assets_tests.in_memory.webhook_inbox import delivered_events, listening_since

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Version:
    """A change to judge, as one of the places tells it where it was found."""

    ticket_id: str
    modified: datetime
    content_hash: str | None
    unsubscribed: bool = False
    is_end: bool = False
    is_notice: bool = False
    is_open: bool = False
    is_past: bool = False
    read_at: datetime = EPOCH

    def is_told_by(self, event: Row, grace: timedelta) -> bool:
        """Return whether the event may be about this version.

        One without a version is about the newest change before it. So a version that was to be
        judged before it came is only delivered by it if it came in time.
        """
        brought = event["version"] or event["received_at"]
        is_both_ends = self.is_end and bool(event["deleted"])
        if brought < self.modified and not (
            is_both_ends and self.modified - brought <= DELETION_TOLERANCE
        ):
            return False
        if event["version"] is not None or not (self.is_open or self.is_past):
            return True
        return self.is_past and event["committed_at"] - self.modified <= grace

    def is_own(self, event: Row) -> bool:
        """Return whether the event is this version's own, not that of a newer one."""
        is_both_ends = self.is_end and bool(event["deleted"])
        return event["version"] in (None, self.modified) or is_both_ends


def judging(
    dataset: InMemoryDataset, manifest: Manifest, policy: WebhookPolicy, state: SyncState | None
) -> Judging:
    """Return what a run judges."""
    has_events = bool(delivered_events(dataset, EPOCH))
    return judging_of_run(policy, manifest, state, has_events=has_events)


def rows(dataset: InMemoryDataset, manifest: Manifest, judging: Judging) -> Iterator[Row]:
    """Yield what a run writes into the ledger."""
    if judging.by is JudgedBy.EVENTS:
        yield from by_events(dataset, manifest, judging)
    elif judging.by is JudgedBy.TABLE:
        yield from by_table(dataset, manifest, judging)


def by_table(dataset: InMemoryDataset, manifest: Manifest, judging: Judging) -> Iterator[Row]:
    """Yield changes of the batch that are older than the grace and that tickets lacks."""
    policy = judging.policy
    for row in _missing(dataset, manifest, judging):
        if row["modifiedTime"] > manifest.served_at - policy.grace:
            continue
        held = dataset.ticket(row["ticket_id"])
        reason = LedgerReason.MISSING if held is None else LedgerReason.STALE
        if is_unsubscribed(row, policy):
            reason = LedgerReason.NOT_SUBSCRIBED
        yield _ledger_row(dataset, manifest, row["ticket_id"], row["modifiedTime"], reason) | {
            "_content_hash": row["_content_hash"]
        }


def by_events(dataset: InMemoryDataset, manifest: Manifest, judging: Judging) -> Iterator[Row]:
    """Yield changes that no event delivered in time, and events that polling missed."""
    bounds, policy = judging_window(manifest, judging), judging.policy
    events: dict[str, list[Row]] = {}
    for event in delivered_events(dataset, bounds.reads_from):
        events.setdefault(event["ticket_id"], []).append(event)
    versions: dict[tuple[str, datetime], list[_Version]] = {}
    for version in _versions(dataset, manifest, judging, bounds):
        if version.modified <= bounds.delivered_by:
            versions.setdefault((version.ticket_id, version.modified), []).append(version)
    for (ticket_id, _), found in versions.items():
        yield from _judge(dataset, manifest, policy, found, events.get(ticket_id, []))
    if bounds.settled is not None:
        yield from _not_polled(dataset, manifest, bounds, events)


def is_unsubscribed(row: Row, policy: WebhookPolicy) -> bool:
    """Return whether the subscription leaves out this kind of change."""
    return any(
        all(_word(row, column) in words for column, words in kind.conditions)
        for kind in policy.unsubscribed
    )


def _word(row: Row, column: str) -> str:
    if column != "change":
        return row[column] or ""
    if row["deletedTime"] is not None:
        return "deleted"
    created = row["createdTime"]
    is_new = created is not None and row["modifiedTime"] - created <= timedelta(seconds=1)
    return "created" if is_new else "updated"


def _missing(dataset: InMemoryDataset, manifest: Manifest, judging: Judging) -> Iterator[Row]:
    """Yield the batch's versions that tickets lacks, and that no earlier run has merged."""
    bounds = judging_window(manifest, judging)
    merged: dict[str, datetime] = {}
    for row in dataset.rows(tables.RAW_TICKET_CHANGES):
        if row["_fetched_at"] >= bounds.reads_from and (
            row["_fetched_at"] < (bounds.merged_until or bounds.reads_from)
            or row["_run_id"] in judging.closed_runs
        ):
            newest = merged.get(row["ticket_id"], row["modifiedTime"])
            merged[row["ticket_id"]] = max(newest, row["modifiedTime"])
    for row in dataset.batch(manifest) if manifest.rows else ():
        held, modified = dataset.ticket(row["ticket_id"]), row["modifiedTime"]
        if modified <= bounds.reads_from or merged.get(row["ticket_id"], EPOCH) >= modified:
            continue
        if held is None or (
            held["modifiedTime"] is not None
            and held["modifiedTime"] < modified
            and not (row["_tombstone"] and held["deletedTime"] is not None)
        ):
            yield row


def _versions(
    dataset: InMemoryDataset, manifest: Manifest, judging: Judging, bounds: JudgingWindow
) -> Iterator[_Version]:
    policy, listening = judging.policy, listening_since(dataset, bounds.reads_from) or EPOCH
    for row in dataset.rows(tables.RAW_TICKET_CHANGES):
        if (
            row["_fetched_at"] >= bounds.stored_since
            and row["modifiedTime"] > bounds.stored_since
            and row["modifiedTime"] >= listening
        ):
            is_past = row["modifiedTime"] <= bounds.counted_after
            version = _version(row, policy)
            yield replace(version, is_past=is_past, read_at=row["_fetched_at"])
    for row in _missing(dataset, manifest, judging):
        if row["modifiedTime"] >= listening:
            yield replace(_version(row, policy), read_at=manifest.served_at)
    for row in dataset.rows(tables.MISSED_UPDATES):
        if row["reason"] == LedgerReason.MISSED and row["detected_at"] >= bounds.open_since:
            key = row["ticket_id"], row["modifiedTime"], row["_content_hash"]
            yield _Version(*key, is_open=True)


def _version(row: Row, policy: WebhookPolicy) -> _Version:
    return _Version(
        row["ticket_id"],
        row["modifiedTime"],
        row["_content_hash"],
        is_unsubscribed(row, policy),
        is_end=row["deletedTime"] is not None,
        is_notice=bool(row["_tombstone"]),
    )


def _judge(
    dataset: InMemoryDataset,
    manifest: Manifest,
    policy: WebhookPolicy,
    versions: list[_Version],
    events: list[Row],
) -> Iterator[Row]:
    """Judge one change by all the places where it was found."""
    ticket_id, modified = versions[0].ticket_id, versions[0].modified
    told = [
        (version, event)
        for version in versions
        for event in events
        if version.is_told_by(event, policy.grace)
    ]
    own = [event["committed_at"] for version, event in told if version.is_own(event)]
    came = [event["committed_at"] for _, event in told]
    in_time = [at for at in came if at - modified <= policy.grace]
    delivered = min(own or in_time, default=None)
    held = dataset.ticket(ticket_id)
    is_known = held is not None and (
        held["deletedTime"] is not None
        or (held["_read_at"] or EPOCH) > max(version.read_at for version in versions)
    )
    if is_known and any(version.is_notice for version in versions):
        return
    is_open = any(version.is_open for version in versions)
    if delivered is None if is_open else in_time:
        return
    reason = LedgerReason.MISSED
    if delivered is not None:
        reason = LedgerReason.LATE
    elif any(version.unsubscribed for version in versions):
        reason = LedgerReason.NOT_SUBSCRIBED
    yield _ledger_row(dataset, manifest, ticket_id, modified, reason, delivered) | {
        "_content_hash": max(version.content_hash or "" for version in versions)
    }


def _not_polled(
    dataset: InMemoryDataset,
    manifest: Manifest,
    bounds: JudgingWindow,
    events: dict[str, list[Row]],
) -> Iterator[Row]:
    polled: dict[str, datetime] = {}
    for row in dataset.rows(tables.RAW_TICKET_CHANGES):
        if row["_fetched_at"] >= bounds.since:
            newest = polled.get(row["ticket_id"], row["modifiedTime"])
            polled[row["ticket_id"]] = max(newest, row["modifiedTime"])
    for ticket_id, found in events.items():
        held = dataset.ticket(ticket_id)
        if held is not None and held["deletedTime"] is not None:
            continue
        for event in found:
            version = event["version"]
            if version is None or event["deleted"] or not bounds.settled:
                continue
            if bounds.since < version <= bounds.settled and (
                ticket_id not in polled or polled[ticket_id] < version
            ):
                reason = LedgerReason.WEBHOOK_ONLY
                row = _ledger_row(dataset, manifest, ticket_id, version, reason)
                yield row | {"delivered_at": event["committed_at"]}


def _ledger_row(
    dataset: InMemoryDataset,
    manifest: Manifest,
    ticket_id: str,
    modified: datetime,
    reason: LedgerReason,
    came: datetime | None = None,
) -> Row:
    held = dataset.ticket(ticket_id)
    lag = ((came or manifest.served_at) - modified).total_seconds()
    return {
        "ticket_id": ticket_id,
        "modifiedTime": modified,
        "reason": reason.value,
        "stored_modifiedTime": held["modifiedTime"] if held else None,
        "detected_at": manifest.served_at,
        "lag_seconds": max(0.0, lag),
        "delivered_at": came,
        "_run_id": manifest.run_id,
        "_judged_by": manifest.run_id,
    }
