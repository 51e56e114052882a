"""Compare every ticket that the helpdesk lists with the tickets table, and repair what differs.

The sync sees changes; this sees what the sync has not seen, whoever is to blame. So nothing of it
is silent: each difference is a row of inventory_differences, and the report says what became of it.

A listing that is cut short must not delete a table. Each ticket that is not listed is asked for by
its id before its row is marked, none is where the listing is known not to be whole, nor where more
than a share of the table would be. Must not know Dagster; the watermark is read and never moved.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import orjson

from helpdesk_assets.errors import EndpointFailed, UserMistake
from helpdesk_assets.model.batch import batch_id
from helpdesk_assets.model.reconciliation import FETCHED, Found, Kind, Outcome, Sizes, Sweep
from helpdesk_assets.model.tickets import InventoryPage
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.statements.inventory_diff import Cuts
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a reconciliation goes about it. `most_gone_share`: of the rows that have not gone, how
    many may be marked as gone at once. With `only_look` nothing is repaired."""

    webhooks: WebhookPolicy
    settled_after: timedelta
    at_once: int = 8
    most_gone_share: float = 0.01
    only_look: bool = False

    @classmethod
    def from_settings(cls, settings: Settings, *, only_look: bool = False) -> Terms:
        return cls(
            settings.webhooks,
            settings.settled_after,
            settings.helpdesk_concurrency,
            settings.reconcile_most_gone_share,
            only_look,
        )


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What one reconciliation found and did.

    `refused` says why rows of tickets that are not listed were left as they are, None where there
    was no reason. `until` is up to when the helpdesk's changes count.
    """

    sweep: Sweep
    sizes: Sizes
    until: datetime
    found: tuple[Found, ...]
    repaired: RepairReport
    refused: str | None
    only_looked: bool
    api_calls: int
    query_jobs: int
    load_jobs: int
    seconds: float

    def count(self, kind: Kind | None = None, outcome: Outcome | None = None) -> int:
        """Differences of this kind and outcome, each any when None."""
        return sum(
            each.count
            for each in self.found
            if kind in (None, each.kind) and outcome in (None, each.outcome)
        )

    @property
    def unrepaired(self) -> int:
        """Absent and stale ones that are so still, less those that have gone meanwhile."""
        left = sum(self.count(kind, Outcome.LEFT) for kind in FETCHED)
        return max(0, left - self.repaired.not_found)

    @property
    def unreadable(self) -> int:
        """Tickets of which nobody can say whether they are right."""
        return self.sweep.unreadable + self.repaired.unreadable

    @property
    def is_wrong(self) -> bool:
        """Whether the table may differ still, by what a repair would have put right."""
        return bool(self.refused or self.unrepaired or self.unreadable)


def reconcile(
    helpdesk: Helpdesk,
    sync_tables: SyncTables,
    terms: Terms,
    *,
    run_id: str,
    attempt: int = 0,
    on_page: Callable[[int], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    timer: Callable[[], float] = time.monotonic,
) -> ReconcileReport:
    """One sweep, its comparison, and the repair of what was found.

    Killed anywhere it leaves nothing half-done that the next one does not find: that begins anew.

    Args:
        on_page: hears how many lines have been read.

    Raises:
        UserMistake: no run has closed yet, so that there is nothing to compare with.
        EndpointFailed, CredentialsRefused: as `Helpdesk.inventory` and `Helpdesk.ticket`.
    """
    began, calls, used = timer(), helpdesk.use.calls, sync_tables.use
    watermark = _watermark(sync_tables)
    sync_tables.prepare()
    store = sync_tables.sweeps()
    with Spool(sync_tables.small_batch_bytes) as lines:
        sweep_id = batch_id(clock(), run_id, attempt)
        sweep = take_inventory(helpdesk, lines, sweep_id, run_id, on_page)
        sizes = store.store(sweep, lines)
    cuts = cuts_of(sweep, watermark, helpdesk.capabilities, terms.settled_after)
    store.compare(sweep, cuts)
    found = store.counted(sweep)
    gone = sum(each.count for each in found if each.kind is Kind.GONE)
    refused = why_refused(sweep, sizes, gone, terms.most_gone_share)
    repaired = RepairReport()
    if found and not terms.only_look:
        kinds = {each.kind for each in found} - ({Kind.GONE} if refused else set())
        repaired = _repair(helpdesk, sync_tables, sweep, terms, kinds)
        store.settle(sweep, gone_were_asked=refused is None)
        found = store.counted(sweep)
    store.forget(sweep)
    use = sync_tables.use.since(used)
    return ReconcileReport(
        sweep=sweep,
        sizes=sizes,
        until=cuts.synced,
        found=found,
        repaired=repaired,
        refused=refused,
        only_looked=terms.only_look,
        api_calls=helpdesk.use.calls - calls,
        query_jobs=use.query_jobs,
        load_jobs=use.load_jobs,
        seconds=timer() - began,
    )


def take_inventory(
    helpdesk: Helpdesk,
    lines: Spool,
    sweep_id: str,
    run_id: str,
    on_page: Callable[[int], None] = lambda _: None,
) -> Sweep:
    """Read the whole inventory into the spool, as rows of ticket_inventory.

    Raises:
        EndpointFailed: the helpdesk gave no page at all.
    """
    sweep: Sweep | None = None
    for page in helpdesk.inventory():
        if sweep is None:
            at = page.served_at
            sweep = Sweep(sweep_id, run_id, at, at, lines=0, pages=0, total=page.total)
        lines.extend(_rows(page, sweep))
        sweep = replace(
            sweep,
            ended_at=max(sweep.ended_at, page.served_at),
            lines=lines.rows,
            pages=sweep.pages + 1,
            total=page.total if sweep.total is None else sweep.total,
            unreadable=sweep.unreadable + len(page.unreadable),
        )
        on_page(lines.rows)
    if sweep is None:
        raise EndpointFailed("The helpdesk gave no page of its inventory. Try again later.")
    return sweep


def cuts_of(
    sweep: Sweep, watermark: datetime, capabilities: Capabilities, settled_after: timedelta
) -> Cuts:
    """Up to when things count."""
    reach = max(settled_after, capabilities.held_back + capabilities.minimum_overlap)
    begun = sweep.listed_at - reach
    return Cuts(begun, min(begun, watermark))


def why_refused(sweep: Sweep, sizes: Sizes, gone: int, most_share: float) -> str | None:
    """Why no row may be marked as gone, None where nothing speaks against it.

    Args:
        gone: how many rows would be asked for.
        most_share: of the rows that have not gone.
    """
    if sweep.total is not None and sizes.listed < sweep.total:
        return (
            f"the helpdesk says that it has {sweep.total:,} tickets and listed {sizes.listed:,}: "
            "the listing was cut short, or tickets left while it was read"
        )
    if not sizes.listed and sizes.alive:
        return f"the helpdesk listed no ticket, and the table has {sizes.alive:,}"
    most = math.ceil(most_share * sizes.alive)
    if gone > most:
        return (
            f"{gone:,} of {sizes.alive:,} tickets are not listed, more than the {most:,} that "
            "RECONCILE_MOST_GONE_SHARE allows at once"
        )
    return None


def _watermark(sync_tables: SyncTables) -> datetime:
    state = sync_tables.read_state()
    if state is None or state.watermark is None:
        raise UserMistake(
            "There is no watermark yet, so nobody can say what the sync should have seen. Run "
            "`helpdesk-assets sync` until it has read everything once, then reconcile."
        )
    return state.watermark


def _repair(
    helpdesk: Helpdesk,
    sync_tables: SyncTables,
    sweep: Sweep,
    terms: Terms,
    kinds: Collection[Kind],
) -> RepairReport:
    """First those that are fetched, then those that have gone: only these may be marked so."""
    store, report = sync_tables.sweeps(), RepairReport()
    for marks, some in ((False, FETCHED), (True, (Kind.GONE,))):
        wanted = tuple(kind for kind in some if kind in kinds)
        if wanted:
            report += repair_tickets(
                helpdesk,
                sync_tables,
                store.found(sweep, wanted),
                run_id=sweep.run_id,
                webhooks=terms.webhooks,
                at_once=terms.at_once,
                gone_is_deleted=marks,
            )
    return report


def _rows(page: InventoryPage, sweep: Sweep) -> list[bytes]:
    listed = [(line.ticket_id, line.modified_time, line.gone) for line in page.lines]
    unreadable = [(ticket_id, None, False) for ticket_id in page.unreadable]
    return [
        orjson.dumps(
            {
                "sweep_id": sweep.sweep_id,
                "ticket_id": ticket_id,
                "modifiedTime": modified,
                "gone": gone,
                "listed_at": sweep.listed_at,
            },
            option=orjson.OPT_UTC_Z,
        )
        for ticket_id, modified, gone in (*listed, *unreadable)
    ]
