"""Writes a group of deliveries: one MERGE for the tickets, then one for the events.

The order matters, since an event's row asserts that its version is in tickets. A crash between the
two leaves a ticket without its event, whose post was not answered and is sent again; in reverse,
the ledger would count a change as delivered that never was. Must not know HTTP or vendors.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.statements.known_tickets import find_known_tickets
from helpdesk_assets.warehouse.table_spec import TableSpec

SYNCED_BY = "webhook"
# A group is sent inside its statement, of which BigQuery accepts 10 MB. A load job per second would
# exhaust a table's daily quota of load jobs before noon.
MAX_INLINE_BYTES = 8_000_000


# Two edits within one tick of the helpdesk's clock look alike, and webhooks may come in any order.
# The sync decides between them: it reads a tick once the tick is over, and again while windows
# overlap. A webhook that comes later than that must not replace the sync's version.
REORDER_WINDOW = timedelta(seconds=60)


class DeliveryStore:
    """Writes to the warehouse; may be used by two threads, one in each method that writes."""

    def __init__(
        self,
        warehouse: BigQueryClient,
        *,
        reorder_window: timedelta = REORDER_WINDOW,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Set up the writer of one dataset.

        Args:
            warehouse: the client of the dataset, closed with the store.
            reorder_window: how long after a change its webhook may replace a version of the same
                tick; must be less than the overlap of the sync's windows.
            now: the current time, aware.
        """
        self._warehouse = warehouse
        self._writer = TableWriter(warehouse, small_batch_bytes=MAX_INLINE_BYTES)
        self._reorder_window = reorder_window
        self._now = now

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        """Return those of the tickets that have a row."""
        warehouse = self._warehouse
        if warehouse.get_table(tables.TICKETS.name) is None:
            return frozenset()
        query = find_known_tickets(warehouse.dataset, sorted(ticket_ids))
        found = warehouse.run(query, run_id=uuid.uuid4().hex, step="known_tickets")
        return frozenset(row["ticket_id"] for row in found.rows)

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        """Write each delivery's version unless the table has a newer one; idempotent."""
        late = [each for each in deliveries if self._is_late(each)]
        prompt = [each for each in deliveries if not self._is_late(each)]
        if prompt:
            self._merge(tables.TICKETS, prompt, run_id, SYNCED_BY)
        if late:
            self._merge(tables.TICKETS.strictly_newer(), late, run_id, f"{SYNCED_BY}-late")

    def _is_late(self, delivery: Delivery) -> bool:
        """Return whether a delivery exceeds the reorder window.

        A deletion is never late: it is the last change within its tick.
        """
        ticket = delivery.ticket
        delay = delivery.received_at - ticket.modified_time
        return ticket.deleted_time is None and delay > self._reorder_window

    def _merge(
        self, spec: TableSpec, deliveries: Sequence[Delivery], run_id: str, step: str
    ) -> None:
        tickets = newest_versions(delivery.ticket for delivery in deliveries)
        now = self._now()
        has_tombstones = any(ticket.tombstone for ticket in tickets)
        columns = (*tables.TICKETS.columns, *([tables.TOMBSTONE] if has_tombstones else []))
        with Spool(MAX_INLINE_BYTES) as spool:
            for ticket in tickets:
                spool.append(
                    _to_json_line(_ticket_row(ticket, now, run_id, has_tombstones=has_tombstones))
                )
            self._writer.merge(
                spec,
                spool,
                run_id=run_id,
                step=step,
                columns=columns,
                partition_bounds=_partition_bounds(tickets),
                has_tombstones=has_tombstones,
            )

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int:
        """Record the events, each once, and return how many are new.

        Args:
            deliveries: the group.
            run_id: the group's id.
            committed_at: when its tickets became durable.
        """
        spec = tables.WEBHOOK_EVENTS
        first = {(each.ticket.ticket_id, each.event_id): each for each in reversed(deliveries)}
        with Spool(MAX_INLINE_BYTES) as spool:
            for delivery in first.values():
                spool.append(_to_json_line(_event_row(delivery, committed_at, run_id)))
            report = self._writer.merge(spec, spool, run_id=run_id, step=spec.name)
        return report.changed

    def refresh_schemas(self) -> None:
        """Read the tables' schemas again, since a user may have changed or dropped a table."""
        for spec in (tables.TICKETS, tables.WEBHOOK_EVENTS):
            self._warehouse.get_table(spec.name, fresh=True)

    def close(self) -> None:
        """Close the warehouse's client."""
        self._warehouse.close()


def newest_versions(tickets: Iterable[Ticket]) -> list[Ticket]:
    """Return the newest version of each ticket; of equal ones a deleted one, else the last.

    One row per ticket is merged, and a tombstone lacks all fields but the deletion. So it takes
    over the fields of the newest complete version in the group.
    """
    complete: dict[str, Ticket] = {}
    latest: dict[str, Ticket] = {}
    for ticket in tickets:
        for versions in (latest, *([] if ticket.tombstone else [complete])):
            before = versions.get(ticket.ticket_id)
            if before is None or _is_newer(ticket, before):
                versions[ticket.ticket_id] = ticket
    return [
        _complete_tombstone(ticket, complete.get(ticket.ticket_id)) for ticket in latest.values()
    ]


def _is_newer(ticket: Ticket, before: Ticket) -> bool:
    if ticket.modified_time == before.modified_time:
        return ticket.deleted_time is not None or before.deleted_time is None
    return ticket.modified_time > before.modified_time


def _complete_tombstone(ticket: Ticket, known: Ticket | None) -> Ticket:
    if not ticket.tombstone or known is None:
        return ticket
    return replace(
        known,
        modified_time=ticket.modified_time,
        deleted_time=ticket.deleted_time,
        content_hash=ticket.content_hash,
    )


def _partition_bounds(tickets: Sequence[Ticket]) -> PartitionBounds | None:
    """Return the range of creation times, None unless all are known.

    Without bounds the MERGE scans the whole table, which may have gigabytes.
    """
    created = [ticket.created_time for ticket in tickets if ticket.created_time is not None]
    if len(created) < len(tickets):
        return None
    return PartitionBounds("createdTime", min(created), max(created))


def _ticket_row(
    ticket: Ticket, now: datetime, run_id: str, *, has_tombstones: bool
) -> dict[str, Any]:
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
        "_synced_at": now,
        "_first_synced_at": now,
        "_synced_by": SYNCED_BY,
        "_run_id": run_id,
    }
    return {**row, tables.TOMBSTONE.name: ticket.tombstone} if has_tombstones else row


def _event_row(delivery: Delivery, committed_at: datetime, run_id: str) -> dict[str, Any]:
    return {
        "event_id": delivery.event_id,
        "ticket_id": delivery.ticket.ticket_id,
        "type": delivery.type,
        "modifiedTime": delivery.ticket.modified_time,
        "deleted": delivery.ticket.deleted_time is not None,
        "received_at": delivery.received_at,
        "committed_at": committed_at,
        "helpdesk": delivery.helpdesk,
        "_run_id": run_id,
    }


def _to_json_line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_UTC_Z)
