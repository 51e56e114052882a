"""Waiting webhook events and their outcomes over a dataset in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.errors import DataRefused
from helpdesk_assets.model.webhook_events import (
    EventKind,
    EventOutcome,
    Outcome,
    ReadTicket,
    WebhookEvent,
    ticket_from_text,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements.delivered_events import (
    FETCHED_WITHIN,
    SAME_CHANGE_WITHIN,
)
from helpdesk_assets.warehouse.statements.pending_events import SENT_AGAIN_WITHIN
from helpdesk_assets.warehouse.table_spec import MergeReport
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.newer_wins import Row

DRAINED = "drained"


class InMemoryInbox:
    """The part of a `Warehouse` that is about events."""

    def __init__(self, dataset: InMemoryDataset) -> None:
        self._dataset = dataset

    def has_closed(self) -> bool:
        return any(state.version > 0 for state in self._dataset.states.values())

    def has_webhook_events(self) -> bool:
        return tables.WEBHOOK_EVENTS.name in self._dataset.tables

    def events_mark(self) -> str | None:
        created = self._dataset.created[tables.WEBHOOK_EVENTS.name].timestamp()
        return f"{len(self._dataset.rows(tables.WEBHOOK_EVENTS))}-{int(created * 1_000_000)}"

    def drained_mark(self) -> str | None:
        return self._dataset.labels.get(DRAINED)

    def note_drained(self, mark: str) -> None:
        if tables.WEBHOOK_OUTCOMES.name in self._dataset.tables:
            self._dataset.labels[DRAINED] = mark

    def pending_events(self, since: datetime, *, run_id: str) -> Iterator[WebhookEvent]:
        self._dataset.create(tables.WEBHOOK_OUTCOMES.name)
        since_outcomes = since - SENT_AGAIN_WITHIN
        known = {
            _key(row)
            for row in self._dataset.rows(tables.WEBHOOK_OUTCOMES)
            if row["received_at"] >= since_outcomes
        }
        pending = [
            row
            for row in first_arrivals(self._dataset, since)
            if all(_key(row)) and _key(row) not in known
        ]
        first: dict[str, datetime] = {}
        for row in pending:
            at = first.get(row["ticket_id"], row["received_at"])
            first[row["ticket_id"]] = min(at, row["received_at"])
        pending.sort(
            key=lambda row: (
                first[row["ticket_id"]],
                row["ticket_id"],
                row["received_at"],
                row["event_id"],
            )
        )
        return map(_event, pending)

    def known_tickets(self, ids: Collection[str], *, run_id: str) -> frozenset[str]:
        return frozenset(each for each in ids if self._dataset.ticket(each) is not None)

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        now = datetime.now(UTC)
        if len({each.ticket.ticket_id for each in read}) < len(read):
            raise DataRefused("A ticket comes twice.")
        return self._dataset.merge(tables.TICKETS, [_row(each, now, run_id) for each in read])

    def record_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            self._dataset.put_beside(tables.WEBHOOK_OUTCOMES, outcome.row())


def first_arrivals(dataset: InMemoryDataset, since: datetime) -> list[Row]:
    """Return the first row of each event that arrived since then."""
    first: dict[tuple[str, str], Row] = {}
    for row in dataset.rows(tables.WEBHOOK_EVENTS):
        held = first.get(_key(row))
        is_first = held is None or _arrival(row) < _arrival(held)
        if row["received_at"] >= since and is_first:
            first[_key(row)] = row
    return list(first.values())


def delivered_events(dataset: InMemoryDataset, since: datetime) -> list[Row]:
    """Return the events that delivered something, each with the version that it is about."""
    outcomes: dict[tuple[str, str], list[Row]] = {}
    for row in dataset.rows(tables.WEBHOOK_OUTCOMES):
        if row["received_at"] >= since:
            outcomes.setdefault(_key(row), []).append(row)
    delivered = []
    for row in first_arrivals(dataset, since):
        known = outcomes.get(_key(row), [])
        if known and not any(each["outcome"] == Outcome.MERGED for each in known):
            continue
        brought = min(
            (each["modifiedTime"] for each in known if each["modifiedTime"]), default=None
        )
        delivered.append(row | {"version": _version(row, brought)})
    return delivered


def listening_since(dataset: InMemoryDataset, reads_from: datetime) -> datetime | None:
    """Return when the first event ever came; None without any."""
    ever: datetime | None = min(
        (row["received_at"] for row in dataset.rows(tables.WEBHOOK_EVENTS)), default=None
    )
    if ever is not None and ever < reads_from:
        return ever
    received: list[datetime] = [row["received_at"] for row in delivered_events(dataset, reads_from)]
    return min(received, default=None)


def _version(row: Row, brought: datetime | None) -> datetime | None:
    told: datetime | None = row["modifiedTime"]
    if brought is None:
        return told
    if told is None:
        received: datetime = row["received_at"]
        return brought if brought - received <= FETCHED_WITHIN else None
    is_same: bool = abs(brought - told) <= SAME_CHANGE_WITHIN
    return brought if is_same else told


def _key(row: Row) -> tuple[str, str]:
    return row["ticket_id"], row["event_id"]


def _arrival(row: Row) -> tuple[datetime, datetime]:
    return row["received_at"], row["committed_at"]


def _event(row: Row) -> WebhookEvent:
    is_known = row["kind"] in frozenset(EventKind)
    kind = row["kind"] if is_known else EventKind.TICKET.value
    event = WebhookEvent.from_row({**row, "ticket": None, "kind": kind})
    if row["ticket"] is None or event.kind is not EventKind.TICKET:
        return event
    try:
        return replace(event, ticket=ticket_from_text(row["ticket"]))
    except ValueError:
        return event


def _row(read: ReadTicket, now: datetime, run_id: str) -> dict[str, Any]:
    ticket = read.ticket
    return {
        "ticket_id": ticket.ticket_id,
        "subject": ticket.subject,
        "status": ticket.status,
        "priority": ticket.priority,
        "assignee": ticket.assignee,
        "createdTime": ticket.created_time,
        "modifiedTime": ticket.modified_time,
        "deletedTime": ticket.deleted_time,
        "raw_json": json.loads(ticket.raw_json),
        tables.CONTENT_HASH.name: ticket.content_hash,
        tables.READ_AT.name: read.read_at,
        tables.ALIVE_AT.name: read.read_at,
        "_synced_at": now,
        "_first_synced_at": now,
        "_synced_by": "webhook",
        "_run_id": run_id,
        tables.TOMBSTONE.name: ticket.tombstone,
    }
