"""Fetch single tickets by id and merge them, beside the scheduled sync.

For tickets that are known or suspected to be wrong. They are written as a sync's are, by
`write_batch` and the same guard, so an older version never replaces a newer one. But rows of the
same version are compared by columns, and a ticket that answers to its id lives. The watermark
stays: that these tickets are right says nothing about the others. Must not know Dagster, nor why a
ticket is repaired.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from helpdesk_assets.errors import DeletionUnproven, TicketUnreadable
from helpdesk_assets.extract.batch_writer import BatchWriter
from helpdesk_assets.model.batch import Manifest, Mode, batch_staging_name
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import ApiUsage, Page, Ticket, Window
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.naming import batch_id
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.ordered_fetch import fetch_in_order
from helpdesk_assets.operations.readiness import expect_ready
from helpdesk_assets.operations.repeated_rows import heal_repeated_rows
from helpdesk_assets.operations.write_batch import write_batch
from helpdesk_assets.providers.base import TicketSource
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.settings import MIN_LISTING_DELAY
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Warehouse

# Tickets merged at a time. Each chunk is durable before the next one is fetched.
CHUNK_SIZE = 500
# Ids that a report names; all of them are counted.
MAX_NAMED_IDS = 20


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What became of the requested tickets.

    Attributes:
        asked: requested tickets, each id once per chunk.
        merged: tickets whose row was missing or older; `deleted` ones included.
        unchanged: tickets whose row was right.
        rejected: tickets of which the table has a newer version.
        deleted: tickets that the helpdesk no longer has and whose row now says so.
        not_found: tickets that the helpdesk does not have; nothing was written.
        unreadable: see `TicketUnreadable`.
        not_found_named: some of the ids.
        unreadable_named: some of the messages.
        unproven: tickets that the helpdesk does not find and that may exist; nothing was written.
        unproven_named: some of the messages.
    """

    asked: int = 0
    merged: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0
    not_found: int = 0
    unreadable: int = 0
    not_found_named: tuple[str, ...] = ()
    unreadable_named: tuple[str, ...] = ()
    unproven: int = 0
    unproven_named: tuple[str, ...] = ()

    def __add__(self, other: RepairReport) -> RepairReport:
        return RepairReport(
            self.asked + other.asked,
            self.merged + other.merged,
            self.unchanged + other.unchanged,
            self.rejected + other.rejected,
            self.deleted + other.deleted,
            self.not_found + other.not_found,
            self.unreadable + other.unreadable,
            (self.not_found_named + other.not_found_named)[:MAX_NAMED_IDS],
            (self.unreadable_named + other.unreadable_named)[:MAX_NAMED_IDS],
            self.unproven + other.unproven,
            (self.unproven_named + other.unproven_named)[:MAX_NAMED_IDS],
        )


@dataclass(slots=True)
class _FetchResults:
    """What the helpdesk answered for one chunk, besides the tickets that are spooled."""

    asked: int
    missing: list[str]
    unreadable: list[str]
    unproven: list[str]


def repair_tickets(
    helpdesk: TicketSource,
    warehouse: Warehouse,
    ids: Iterable[str],
    *,
    run_id: str,
    webhooks: WebhookPolicy,
    concurrency: int = 8,
    mark_deleted: bool = False,
    listing_delay: timedelta = MIN_LISTING_DELAY,
    chunk: int = CHUNK_SIZE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RepairReport:
    """Bring each of these tickets up to date with the helpdesk. Doing it again changes nothing.

    Args:
        helpdesk: where from.
        warehouse: where to.
        ids: any number, read as they are needed.
        run_id: names the run in every table.
        webhooks: what is expected of webhooks.
        concurrency: concurrent calls; the adapter may allow fewer.
        mark_deleted: set `deletedTime` of a ticket that has a row and is gone from the helpdesk,
            unless the login does not see every ticket. Nobody says when it was deleted; it gets
            the helpdesk's clock at the call.
        listing_delay: a ticket younger than that is not marked: the helpdesk may not find it yet.
        chunk: tickets merged at a time.
        now: this machine's clock, for batch names, and if the helpdesk has given no time.

    Raises:
        AccountMismatch: the dataset holds the tickets of another account.
        WarehouseRefused: the dataset would not take or keep what is written.
        WriterBusy: somebody else wrote tickets for longer than one waits.
        EndpointFailed, CredentialsRefused: as `Helpdesk.ticket`. Chunks merged before stay.
    """
    account = check_account(warehouse, helpdesk.capabilities)
    expect_ready(warehouse, warehouse.read_state(), run_id=run_id)
    warehouse.prepare(account.digest)
    report, pending = RepairReport(), iter(ids)
    number = 0
    while requested := list(dict.fromkeys(islice(pending, chunk))):
        one = _Chunk(helpdesk, warehouse, run_id, number, listing_delay, now)
        report += one.repair(requested, webhooks, concurrency, mark_deleted=mark_deleted)
        number += 1
    return report


class _Chunk:
    """One chunk of tickets, from the helpdesk to the table."""

    def __init__(
        self,
        helpdesk: TicketSource,
        warehouse: Warehouse,
        run_id: str,
        number: int,
        listing_delay: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._helpdesk = helpdesk
        self._warehouse = warehouse
        self._run_id = run_id
        self._listing_delay = listing_delay
        self._now = now
        # Before the first answer it is None; the first answer's time then counts.
        self._read_since = helpdesk.served_at
        # In place of a sync's attempt, so that no two chunks share a name.
        self._batch_id = batch_id(now(), run_id, number)

    def repair(
        self,
        requested: Sequence[str],
        webhooks: WebhookPolicy,
        concurrency: int,
        *,
        mark_deleted: bool,
    ) -> RepairReport:
        state = self._warehouse.read_state()
        with Spool(self._warehouse.small_batch_bytes) as spool:
            writer = BatchWriter(
                spool,
                run_id=self._run_id,
                batch_id=self._batch_id,
                rng=random.Random(0),  # noqa: S311 - a sample, no secret
            )
            results = self._fetch(writer, requested, concurrency)
            deleted = self._mark_missing(writer, results) if mark_deleted else []
            manifest = self._manifest(writer, state)
            counts = self._merge(manifest, spool, webhooks)
        lost = [ticket_id for ticket_id in results.missing if ticket_id not in deleted]
        return replace(
            counts,
            asked=results.asked,
            deleted=len(deleted),
            not_found=len(lost),
            unreadable=len(results.unreadable),
            not_found_named=tuple(lost[:MAX_NAMED_IDS]),
            unreadable_named=tuple(results.unreadable[:MAX_NAMED_IDS]),
            unproven=len(results.unproven),
            unproven_named=tuple(results.unproven[:MAX_NAMED_IDS]),
        )

    def _fetch(
        self, writer: BatchWriter, requested: Sequence[str], concurrency: int
    ) -> _FetchResults:
        results = _FetchResults(len(requested), [], [], [])
        for ticket_id, answer in fetch_in_order(self._helpdesk, requested, concurrency):
            self._read_since = self._read_since or self._helpdesk.served_at
            if answer is None:
                results.missing.append(ticket_id)
            elif isinstance(answer, TicketUnreadable):
                results.unreadable.append(str(answer))
            elif isinstance(answer, DeletionUnproven):
                results.unproven.append(str(answer))
            else:
                self._add(writer, answer)
        self._helpdesk.confirm_rights()
        return results

    def _mark_missing(self, writer: BatchWriter, results: _FetchResults) -> list[str]:
        """Add tombstones; none if the login may not see a ticket that exists for others."""
        if results.missing and (blind_spot := self._helpdesk.blind_spot()):
            results.unproven += [
                f"The helpdesk shows no ticket {ticket_id}. It may exist: {blind_spot}."
                for ticket_id in results.missing
            ]
            results.missing.clear()
        return self._add_tombstones(writer, results.missing)

    def _add_tombstones(self, writer: BatchWriter, missing: Sequence[str]) -> list[str]:
        """Add a tombstone for each missing ticket that has a live row; return their ids.

        An id that the table never had must not become a row.
        """
        if not missing:
            return []
        now = self._helpdesk_time()
        alive = self._warehouse.find_live_tickets(
            missing, created_by=now - self._listing_delay, run_id=self._run_id
        )
        for ticket_id in alive:
            self._add(writer, tombstone(ticket_id, now, {"id": ticket_id, "gone": True}))
        return alive

    def _add(self, writer: BatchWriter, ticket: Ticket) -> None:
        # Other threads are fetching meanwhile, so the latest answer's time is not this ticket's.
        read_at = self._read_since or self._helpdesk_time()
        writer.add(Page((ticket,), served_at=read_at, until=read_at))

    def _helpdesk_time(self) -> datetime:
        return self._helpdesk.served_at or self._now()

    def _merge(self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy) -> RepairReport:
        if not manifest.rows:
            return RepairReport()
        try:
            with self._warehouse.lease("repair", run_id=self._run_id):
                write_batch(self._warehouse, manifest, spool, webhooks)
                counts = self._warehouse.count_batch(manifest)
                # Each ticket is asked once: more outcomes than tickets are those of repeated rows.
                if repeated := max(0, counts.tickets - manifest.rows):
                    counted = replace(counts, repeated_keys=repeated)
                    heal_repeated_rows(self._warehouse, manifest, counted)
                    counts = self._warehouse.count_batch(manifest)
        finally:
            self._warehouse.drop_staging(manifest)
        return RepairReport(
            merged=counts.inserted + counts.updated,
            unchanged=counts.unchanged,
            rejected=counts.rejected,
        )

    def _manifest(self, writer: BatchWriter, state: SyncState | None) -> Manifest:
        """Describe the batch as one of a range, which leaves the state row alone."""
        now = self._helpdesk_time()
        is_forced = writer.rows > 0
        return Manifest(
            batch_id=self._batch_id,
            run_id=self._run_id,
            mode=Mode.INCREMENTAL,
            reason="repair by id",
            window=Window(None, now),
            served_at=now,
            advances_watermark=False,
            expected_version=state.version if state else 0,
            initial_watermark=state.watermark if state else None,
            first_load=state is None or state.watermark is None,
            rows=writer.rows,
            pages=writer.pages,
            api=ApiUsage(),
            versions=None if writer.versions is None else tuple(writer.versions),
            staging=batch_staging_name(self._batch_id) if is_forced else None,
            created_months=writer.created_months(),
            oldest_modified=writer.oldest_modified,
            is_range=True,
            tombstones=writer.tombstones,
            read_since=self._read_since or now,
            forced=is_forced,
        )
