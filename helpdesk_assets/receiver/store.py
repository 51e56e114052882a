"""Writes a group of deliveries: one MERGE for the tickets, then one for the events.

The order matters, since an event's row asserts that its version is in tickets. A crash between the
two leaves a ticket without its event, whose post was not answered and is sent again; in reverse,
the ledger would count a change as delivered that never was. Must not know HTTP or vendors.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.statements.batch import find_known_tickets

SYNCED_BY = "webhook"
# A group is sent inside its statement, of which BigQuery accepts 10 MB. A load job per second would
# exhaust a table's daily quota of load jobs before noon.
MAX_INLINE_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """A version to write, and the helpdesk's clock when the ticket was so."""

    ticket: Ticket
    read_at: datetime


class DeliveryStore:
    """Writes to the warehouse; may be used by two threads, one in each method that writes."""

    def __init__(
        self,
        warehouse: BigQueryClient,
        *,
        before_first_write: Callable[[], None] = lambda: None,
        has_closed: Callable[[], bool] = lambda: False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Set up the writer of one dataset.

        Args:
            warehouse: the client of the dataset, closed with the store.
            before_first_write: refuses a dataset of another account; asked until it does not.
            has_closed: whether a sync has filled the table tickets, by the state rows; asked where
                the table is absent.
            now: the current time, aware.
        """
        self._warehouse = warehouse
        self._before_first_write: Callable[[], None] | None = before_first_write
        self._has_closed = has_closed
        self._writer = TableWriter(warehouse, small_batch_bytes=MAX_INLINE_BYTES)
        self._now = now

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        """Return those of the tickets that have a row.

        Raises:
            WarehouseUnavailable: the table that a sync had filled is not there.
        """
        warehouse = self._warehouse
        if not self._is_table_there():
            return frozenset()
        query = find_known_tickets(warehouse.dataset, sorted(ticket_ids))
        found = warehouse.run(query, run_id=uuid.uuid4().hex, step="known_tickets")
        return frozenset(row["ticket_id"] for row in found.rows)

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        """Write each delivery's version unless the table has a newer one; idempotent.

        Two edits within one tick of the helpdesk's clock look alike, and webhooks may come in any
        order. Of these the first stays until the sync, which reads a tick once it is over, decides.

        Raises:
            AccountMismatch: the dataset holds the tickets of another account.
            WarehouseUnavailable: the table that a sync had filled is not there.
        """
        self._is_table_there()
        if self._before_first_write is not None:
            self._before_first_write()
            self._before_first_write = None
        read = newest_versions(ReadTicket(each.ticket, each.read_at) for each in deliveries)
        now = self._now()
        has_tombstones = any(each.ticket.tombstone for each in read)
        columns = (
            *tables.TICKETS.columns,
            tables.ALIVE_AT,
            *([tables.TOMBSTONE] if has_tombstones else []),
        )
        with Spool(MAX_INLINE_BYTES) as spool:
            for each in read:
                spool.append(
                    _to_json_line(_ticket_row(each, now, run_id, has_tombstones=has_tombstones))
                )
            self._writer.merge(
                tables.TICKETS,
                spool,
                run_id=run_id,
                step=SYNCED_BY,
                columns=columns,
                partition_bounds=_partition_bounds([each.ticket for each in read]),
                has_tombstones=has_tombstones,
            )

    def _is_table_there(self) -> bool:
        """Return whether there is a table tickets; a lost one is left to the sync.

        An empty table in its place would look whole to whoever reads it.

        Raises:
            WarehouseUnavailable: the table that a sync had filled is not there.
        """
        if self._warehouse.get_table(tables.TICKETS.name) is not None:
            return True
        if self._has_closed():
            dataset = self._warehouse.dataset
            raise WarehouseUnavailable(
                f"Table {tables.TICKETS.name} of {dataset.project}.{dataset.name} is gone, though "
                "a sync had filled it. Run `helpdesk-assets sync`, which makes it again and reads "
                "every ticket; webhooks are written again after that."
            )
        return False

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


def newest_versions(read: Iterable[ReadTicket]) -> list[ReadTicket]:
    """Return the newest version of each ticket; of equal ones the one read later, else the last.

    One row per ticket is merged, and a tombstone knows only the deletion. So the newest complete
    version of the group takes over the deletion, unless it is newer or was read later.
    """
    complete: dict[str, ReadTicket] = {}
    deleted: dict[str, ReadTicket] = {}
    for each in read:
        versions = deleted if each.ticket.tombstone else complete
        before = versions.get(each.ticket.ticket_id)
        if before is None or _order(before) <= _order(each):
            versions[each.ticket.ticket_id] = each
    alone = [each for ticket_id, each in deleted.items() if ticket_id not in complete]
    return [
        *(_combined(each, deleted.get(each.ticket.ticket_id)) for each in complete.values()),
        *alone,
    ]


def _order(each: ReadTicket) -> tuple[datetime, datetime]:
    return each.ticket.modified_time, each.read_at


def _combined(version: ReadTicket, deletion: ReadTicket | None) -> ReadTicket:
    if (
        deletion is None
        or deletion.ticket.modified_time < version.ticket.modified_time
        or deletion.read_at < version.read_at
    ):
        return version
    deleted_time = version.ticket.deleted_time or deletion.ticket.deleted_time
    return ReadTicket(replace(version.ticket, deleted_time=deleted_time), deletion.read_at)


def _partition_bounds(tickets: Sequence[Ticket]) -> PartitionBounds | None:
    """Return the range of creation times, None unless all are known.

    Without bounds the MERGE scans the whole table, which may have gigabytes.
    """
    created = [ticket.created_time for ticket in tickets if ticket.created_time is not None]
    if len(created) < len(tickets):
        return None
    return PartitionBounds.around("createdTime", created)


def _ticket_row(
    read: ReadTicket, now: datetime, run_id: str, *, has_tombstones: bool
) -> dict[str, Any]:
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
