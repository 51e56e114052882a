"""Fetch single tickets by their ids and merge them, while the schedule goes on.

For tickets that somebody knows or fears to be wrong. They take the way that a sync's take: stored
as versions, looked at for what webhooks missed, merged by the same guard, so that an older version
never replaces a newer one. The watermark is not touched: that these tickets are right says nothing
of the others. Must not know Dagster, nor why a ticket is repaired.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from helpdesk_assets.errors import TicketUnreadable
from helpdesk_assets.extract.batch_writer import BatchWriter
from helpdesk_assets.model.batch import Manifest, Mode, batch_staging_name
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import ApiUsage, Page, Ticket, Window
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.naming import batch_id
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

log = logging.getLogger(__name__)

# Tickets that are merged at a time. Each chunk is durable before the next one is asked for.
CHUNK_SIZE = 500
# Fetched and waiting for those before them: tickets may be large.
PENDING_PER_THREAD = 2
# Of the ids that a report names; all of them are counted.
MAX_NAMED_IDS = 20


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What became of the tickets that were asked for.

    `merged` were absent or older here and are not any more, those `deleted` (which the helpdesk
    has no more, and whose row says so now) among them. `unchanged` were right; of those `rejected`
    the table has a newer version. `not_found`: the helpdesk has no such ticket, and nothing was
    written. `unreadable`: see `TicketUnreadable`. Of the last two a few are named, `unreadable`
    ones with what is wrong.
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
        )


@dataclass(slots=True)
class _FetchResults:
    """What the helpdesk said of one chunk, besides the tickets that are spooled already."""

    asked: int
    missing: list[str]
    unreadable: list[str]


def repair_tickets(
    helpdesk: Helpdesk,
    sync_tables: SyncTables,
    ids: Iterable[str],
    *,
    run_id: str,
    webhooks: WebhookPolicy,
    concurrency: int = 8,
    mark_deleted: bool = False,
    chunk: int = CHUNK_SIZE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RepairReport:
    """Bring each of these tickets up to date with the helpdesk. Doing it again changes nothing.

    Args:
        ids: any number, read as they are needed.
        at_once: calls under way at a time; the adapter may allow fewer.
        gone_is_deleted: set `deletedTime` of a ticket that the helpdesk has no more and the table
            has. When it went nobody tells; it gets the helpdesk's clock when it was asked.
        clock: for names of batches, and where the helpdesk has told no time.

    Raises:
        EndpointFailed, CredentialsRefused: as `Helpdesk.ticket`. What was merged before stays.
    """
    sync_tables.prepare()
    report, pending = RepairReport(), iter(ids)
    number = 0
    while requested := list(dict.fromkeys(islice(pending, chunk))):
        one = _Chunk(helpdesk, sync_tables, run_id, number, now)
        report += one.repair(requested, webhooks, concurrency, mark_deleted=mark_deleted)
        number += 1
    return report


class _Chunk:
    """A few tickets, from the helpdesk to the table."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        sync_tables: SyncTables,
        run_id: str,
        number: int,
        now: Callable[[], datetime],
    ) -> None:
        self._helpdesk = helpdesk
        self._tables = sync_tables
        self._run_id = run_id
        self._now = now
        # The number stands where a sync's batch has its attempt: no two chunks share a name.
        self._batch_id = batch_id(now(), run_id, number)

    def repair(
        self,
        requested: Sequence[str],
        webhooks: WebhookPolicy,
        concurrency: int,
        *,
        mark_deleted: bool,
    ) -> RepairReport:
        state = self._tables.read_state()
        with Spool(self._tables.small_batch_bytes) as spool:
            writer = BatchWriter(
                spool,
                run_id=self._run_id,
                batch_id=self._batch_id,
                rng=random.Random(0),  # noqa: S311 - a sample, no secret
            )
            results = self._fetch(writer, requested, concurrency)
            deleted = self._add_tombstones(writer, results.missing) if mark_deleted else []
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
        )

    def _fetch(
        self, writer: BatchWriter, requested: Sequence[str], concurrency: int
    ) -> _FetchResults:
        results = _FetchResults(len(requested), [], [])
        for ticket_id, answer in _fetch_in_order(self._helpdesk, requested, concurrency):
            if answer is None:
                results.missing.append(ticket_id)
            elif isinstance(answer, TicketUnreadable):
                results.unreadable.append(str(answer))
            else:
                self._add(writer, answer)
        return results

    def _add_tombstones(self, writer: BatchWriter, missing: Sequence[str]) -> list[str]:
        """Of those that have gone, the ones that the table has alive; an id that it never had must
        not become a row."""
        alive = self._tables.find_live_tickets(missing, run_id=self._run_id) if missing else []
        for ticket_id in alive:
            self._add(
                writer, tombstone(ticket_id, self._helpdesk_time(), {"id": ticket_id, "gone": True})
            )
        return alive

    def _add(self, writer: BatchWriter, ticket: Ticket) -> None:
        now = self._helpdesk_time()
        writer.add(Page((ticket,), served_at=now, until=now))

    def _helpdesk_time(self) -> datetime:
        return self._helpdesk.served_at or self._now()

    def _merge(self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy) -> RepairReport:
        if not manifest.rows:
            return RepairReport()
        store, run_id = self._tables, self._run_id
        try:
            request = store.changes_request(manifest, spool)
            store.write(tables.RAW_TICKET_CHANGES, request, run_id=run_id)
            request = store.missed_request(manifest, webhooks)
            store.write(tables.MISSED_UPDATES, request, run_id=run_id)
            store.write(tables.TICKETS, store.tickets_request(manifest), run_id=run_id)
            counts = store.count_batch(manifest)
        finally:
            store.drop_staging(manifest)
        return RepairReport(
            merged=counts.inserted + counts.updated,
            unchanged=counts.unchanged,
            rejected=counts.rejected,
        )

    def _manifest(self, writer: BatchWriter, state: SyncState | None) -> Manifest:
        """A batch like that of a range: it leaves the state row alone."""
        now, span = self._helpdesk_time(), writer.created_span()
        is_small = writer.versions is not None
        staging = batch_staging_name(self._batch_id)
        return Manifest(
            batch_id=self._batch_id,
            run_id=self._run_id,
            mode=Mode.INCREMENTAL,
            reason="repair by id",
            window=Window(None, now),
            served_at=now,
            advances_watermark=False,
            expected_version=state.version if state else 0,
            initial_watermark=None,
            first_load=state is None or state.watermark is None,
            rows=writer.rows,
            pages=writer.pages,
            api=ApiUsage(),
            versions=tuple(writer.versions or ()) if is_small else None,
            staging=None if is_small else staging,
            created_from=span[0] if span else None,
            created_to=span[1] if span else None,
            is_range=True,
            tombstones=writer.tombstones,
        )


def _fetch_in_order(
    helpdesk: Helpdesk, requested: Iterable[str], concurrency: int
) -> Iterator[tuple[str, Ticket | TicketUnreadable | None]]:
    """Each ticket in the order of its asking, few of them in memory."""
    ids = iter(requested)
    waiting: deque[tuple[str, Future[Ticket | TicketUnreadable | None]]] = deque()
    pool = ThreadPoolExecutor(concurrency, "repair")
    try:
        for ticket_id in ids:
            waiting.append((ticket_id, pool.submit(_fetch_one, helpdesk, ticket_id)))
            if len(waiting) >= PENDING_PER_THREAD * concurrency:
                yield _next_result(waiting)
        while waiting:
            yield _next_result(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _next_result(
    waiting: deque[tuple[str, Future[Ticket | TicketUnreadable | None]]],
) -> tuple[str, Ticket | TicketUnreadable | None]:
    ticket_id, future = waiting.popleft()
    return ticket_id, future.result()


def _fetch_one(helpdesk: Helpdesk, ticket_id: str) -> Ticket | TicketUnreadable | None:
    """One that cannot be read is named in the report: the others must not wait for it."""
    try:
        return helpdesk.ticket(ticket_id)
    except TicketUnreadable as error:
        return error
