"""The webhook events that wait, and what becomes of them: the tables between receiver and drain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import (
    EventKind,
    EventOutcome,
    ReadTicket,
    WebhookEvent,
    ticket_from_text,
)
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.statements.batch import find_known_tickets
from helpdesk_assets.warehouse.statements.pending_events import brought_tickets, pending_events
from helpdesk_assets.warehouse.table_spec import MergeReport

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender

SYNCED_BY = "webhook"
# A chunk is sent inside its statement, of which BigQuery accepts 10 MB: a load job every five
# minutes would take a fifth of a table's daily quota. A larger one is loaded all the same.
MAX_INLINE_BYTES = 8_000_000
# Events whose tickets are asked for at once; their ids are parameters of one statement.
KEYS_PER_QUERY = 5_000
# A label of WEBHOOK_OUTCOMES.
DRAINED_LABEL = "drained"
_MICROSECOND = 1_000_000


class WebhookInbox:
    """The part of `warehouse.base.Warehouse` that is about events. Making one sends no request."""

    def __init__(
        self, client: BigQueryClient, open_appender: Callable[[], RowAppender] | None = None
    ) -> None:
        """Bind to a dataset.

        Args:
            client: the dataset.
            open_appender: opens what appends rows to it; None: no outcome can be recorded.
        """
        self._client = client
        self._schema = Schema(client)
        self._inbox_writer = TableWriter(client, small_batch_bytes=MAX_INLINE_BYTES)
        self._open_appender = open_appender

    def has_webhook_events(self) -> bool:
        """Return whether there is a table of events."""
        return self._client.get_table(tables.WEBHOOK_EVENTS.name, fresh=True) is not None

    def events_mark(self) -> str | None:
        """Return a mark of the stored events; None while rows are in the streaming buffer.

        These are not counted, and may have grown since the metadata was made.
        """
        found = self._client.get_table(tables.WEBHOOK_EVENTS.name, fresh=True)
        if found is None or found.streaming_buffer is not None:
            return None
        times = [moment for moment in (found.created, found.modified) if moment is not None]
        parts = [int(moment.timestamp() * _MICROSECOND) for moment in times]
        return "-".join(map(str, [found.num_rows or 0, *parts]))

    def drained_mark(self) -> str | None:
        """Return what was noted last."""
        return self._schema.label(tables.WEBHOOK_OUTCOMES, DRAINED_LABEL)

    def note_drained(self, mark: str) -> None:
        """Note that no event waits; nothing is noted before there is an outcome."""
        # Fresh, since an append changes the table and an outdated one must not be written.
        self._client.get_table(tables.WEBHOOK_OUTCOMES.name, fresh=True)
        self._schema.ensure_label(tables.WEBHOOK_OUTCOMES, DRAINED_LABEL, mark)

    def pending_events(self, since: datetime, *, run_id: str) -> Iterator[WebhookEvent]:
        """Yield the events without an outcome, with what they bring."""
        ensure_event_tables(self._schema)
        query = pending_events(self._client.dataset, since)
        rows = self._client.run(query, run_id=run_id, step="pending_events").rows
        while some := list(islice((_event(row) for row in rows), KEYS_PER_QUERY)):
            yield from self._with_tickets(some, run_id)

    def _with_tickets(self, events: Sequence[WebhookEvent], run_id: str) -> Iterator[WebhookEvent]:
        """Yield the events with their tickets, of which few are in memory at a time."""
        bring = [each for each in events if each.kind is EventKind.TICKET]
        if not bring:
            yield from events
            return
        arrived = [each.received_at for each in bring]
        query = brought_tickets(
            self._client.dataset,
            [(each.ticket_id, each.event_id) for each in bring],
            min(arrived),
            max(arrived),
        )
        rows = self._client.run(query, run_id=run_id, step="brought_tickets").rows
        tickets = _by_place(rows)
        place, text = next(tickets, (-1, None))
        number = -1
        for event in events:
            if event.kind is not EventKind.TICKET:
                yield event
                continue
            number += 1
            while 0 <= place < number:
                place, text = next(tickets, (-1, None))
            yield _with_ticket(event, text if place == number else None)

    def known_tickets(self, ids: Collection[str], *, run_id: str) -> frozenset[str]:
        """Return those of the tickets that have a row."""
        if not ids or not self._schema.exists(tables.TICKETS):
            return frozenset()
        query = find_known_tickets(self._client.dataset, sorted(ids))
        found = self._client.run(query, run_id=run_id, step="known_tickets")
        return frozenset(row["ticket_id"] for row in found.rows)

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        """Bring the tickets table up to date with these versions.

        Two edits within one tick of the helpdesk's clock look alike, and webhooks may come in any
        order. Of these the first stays until the sync, which reads a tick once it is over, decides.
        """
        now = datetime.now(UTC)
        has_tombstones = any(each.ticket.tombstone for each in read)
        columns = (
            *tables.TICKETS.columns,
            tables.ALIVE_AT,
            *([tables.TOMBSTONE] if has_tombstones else []),
        )
        with Spool(MAX_INLINE_BYTES) as spool:
            for each in read:
                row = ticket_row(each, now, run_id, has_tombstones=has_tombstones)
                spool.append(orjson.dumps(row, option=orjson.OPT_UTC_Z))
            return self._inbox_writer.merge(
                tables.TICKETS,
                spool,
                run_id=run_id,
                step=SYNCED_BY,
                columns=columns,
                partition_bounds=_partition_bounds([each.ticket for each in read]),
                has_tombstones=has_tombstones,
            )

    def record_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        """Append what became of events.

        Raises:
            RuntimeError: there are outcomes and nothing to append them with.
        """
        if not outcomes:
            return
        if self._open_appender is None:
            raise RuntimeError("SyncTables was made without open_appender.")
        with closing(self._open_appender()) as appender:
            appender.append(tables.WEBHOOK_OUTCOMES, [each.row() for each in outcomes])


def ensure_event_tables(schema: Schema) -> None:
    """Create the tables that a query of events names."""
    schema.ensure(tables.WEBHOOK_EVENTS)
    schema.ensure(tables.WEBHOOK_OUTCOMES)


def ticket_row(
    read: ReadTicket, now: datetime, run_id: str, *, has_tombstones: bool
) -> dict[str, Any]:
    """Return a version as a row of tickets that a webhook brought."""
    ticket = read.ticket
    row = {
        "ticket_id": ticket.ticket_id,
        "subject": ticket.subject,
        "status": ticket.status,
        "priority": ticket.priority,
        "assignee": ticket.assignee,
        "createdTime": ticket.created_time,
        "modifiedTime": ticket.modified_time,
        "deletedTime": ticket.deleted_time,
        # Already JSON; parsing it only to serialise it again would double the work.
        "raw_json": orjson.Fragment(ticket.raw_json),
        tables.CONTENT_HASH.name: ticket.content_hash,
        tables.READ_AT.name: read.read_at,
        tables.ALIVE_AT.name: read.read_at,
        "_synced_at": now,
        "_first_synced_at": now,
        "_synced_by": SYNCED_BY,
        "_run_id": run_id,
    }
    return {**row, tables.TOMBSTONE.name: ticket.tombstone} if has_tombstones else row


def _event(row: Mapping[str, Any]) -> WebhookEvent:
    """Read an event without what it brings. A kind that nobody knows counts as unreadable."""
    is_known = row["kind"] in frozenset(EventKind)
    return WebhookEvent.from_row(
        {**row, "ticket": None, "kind": row["kind"] if is_known else EventKind.TICKET.value}
    )


def _with_ticket(event: WebhookEvent, text: str | None) -> WebhookEvent:
    if text is None:
        return event
    try:
        return replace(event, ticket=ticket_from_text(text))
    except ValueError:
        return event


def _by_place(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str | None]]:
    for row in rows:
        yield int(row["place"]), row["ticket"]


def _partition_bounds(tickets: Sequence[Ticket]) -> PartitionBounds | None:
    """Return the months of creation, None unless all are known.

    Without bounds the MERGE scans the whole table, which may have gigabytes.
    """
    created = [ticket.created_time for ticket in tickets if ticket.created_time is not None]
    if len(created) < len(tickets):
        return None
    return PartitionBounds.around("createdTime", created)
