"""A helpdesk's tables on paper, and the statements that the commands send over them.

The statements are the real ones: a client on paper notes them and says how large the tables are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from google.cloud import bigquery

from helpdesk_assets.model.batch import Manifest, Mode, Version
from helpdesk_assets.model.judging import UNJUDGED, Judging
from helpdesk_assets.model.reconciliation import InventorySnapshot
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import JudgedBy, LedgerSource, WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import fields
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.statements import inventory_diff
from helpdesk_assets.warehouse.statements.batch import missed_since
from helpdesk_assets.warehouse.statements.batch_counts import batch_counts_query
from helpdesk_assets.warehouse.statements.missed_by_table import missed_by_table
from helpdesk_assets.warehouse.statements.pending_events import (
    brought_tickets,
    count_pending,
    pending_events,
)
from helpdesk_assets.warehouse.statements.sync_state import commit_statement
from helpdesk_assets.warehouse.stores.inventories import InventoryTables
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest
from helpdesk_assets.warehouse.stores.run_log import newest_runs
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import JobUsage, TableSpec
from helpdesk_assets.warehouse.webhook_tables import EVENT_DAYS
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.billed_bytes import Bill, PriceList, TableOnPaper

TEXTS = {
    "raw_json": 3_500,
    "ticket": 5_000,
    "subject": 60,
    "_content_hash": 32,
    "_run_id": 32,
    "reason": 40,
}
STATE_TEXTS = {"facts": 4_000, "recent_runs": 20_000, "reading": 12_000, "unfinished": 0}
STAGING = "raw_ticket_changes__stg_20261101T120000Z_r1_0"
CHANGED_A_DAY = 0.004
MONTHS, DAYS, SWEEPS = 60, 365, 2
GRACE = timedelta(minutes=5)
JUDGING = Judging(JudgedBy.TABLE, WebhookPolicy(True, LedgerSource.TABLE, GRACE, GRACE))
SEEN = SyncState(
    "tickets",
    NOON - timedelta(hours=2),
    3,
    run_id="run-0",
    reason="incremental: changes since the watermark",
    closed_at=NOON - timedelta(hours=2),
    facts=RunCounts(rows=1),
    full_load_at=NOON - timedelta(days=30),
)


def month(ago: int) -> datetime:
    """Return the beginning of the month so many months before November 2026."""
    years, rest = divmod(NOON.year * 12 + NOON.month - 1 - ago, 12)
    return datetime(years, rest + 1, 1, tzinfo=UTC)


def day(ago: int) -> datetime:
    """Return the beginning of the day so many days ago."""
    return NOON.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=ago)


def desk(
    tickets: int, *, staged: int = 0, events_a_day: float = 0.0, is_empty: bool = False
) -> dict[str, TableOnPaper]:
    """Return the tables of a helpdesk of that size after a year, or before its first load.

    Its tickets are from five years, one in 250 changes a day, and one change in twenty is missed.
    """
    changes = tickets * CHANGED_A_DAY
    daily = {day(ago): changes for ago in range(DAYS)}
    one = {day(0): 1.0}
    rows: dict[TableSpec, Mapping[datetime, float]] = {
        tables.TICKETS: {month(ago): tickets / MONTHS for ago in range(MONTHS)},
        tables.RAW_TICKET_CHANGES: {**daily, day(DAYS): tickets},
        tables.MISSED_UPDATES: {month(ago): changes * 1.5 for ago in range(12)},
        tables.SYNC_STATE: one,
        tables.SYNC_RUNS: {month(ago): 360.0 for ago in range(12)},
        tables.TICKET_INVENTORY: {day(7 * ago): float(tickets) for ago in range(SWEEPS)},
        tables.INVENTORY_DIFFERENCES: {month(ago): 200.0 for ago in range(12)},
        **{
            spec: {day(ago): events_a_day for ago in range(EVENT_DAYS)}
            for spec in (tables.WEBHOOK_EVENTS, tables.WEBHOOK_OUTCOMES)
        },
    }
    if is_empty:
        rows = {spec: {} for spec in rows}
    found = {spec.name: TableOnPaper(spec, partitions, TEXTS) for spec, partitions in rows.items()}
    state = tables.SYNC_STATE.name
    found[state] = replace(found[state], text_bytes=TEXTS | STATE_TEXTS)
    staging = replace(tables.RAW_TICKET_CHANGES, name=STAGING, partition_by=None, cluster_by=())
    found[STAGING] = TableOnPaper(staging, {day(0): float(staged)}, TEXTS)
    return found


class PaperClient:
    """Stands for a `BigQueryClient`: tables have sizes, and statements are noted."""

    dataset = Dataset("acme", "desk")
    use = JobUsage()
    is_emulator = False

    def __init__(self, sizes: Mapping[str, TableOnPaper]) -> None:
        self._sizes = sizes
        self.sent: list[Query] = []

    def get_table(self, name: str, **_: Any) -> bigquery.Table | None:
        """Return the metadata that BigQuery would give."""
        size = self._sizes.get(name)
        if size is None:
            return None
        spec = size.spec
        table = bigquery.Table(self.dataset.table_id(name), fields(spec.columns))
        if spec.partition_by:
            table.time_partitioning = bigquery.TimePartitioning(
                type_=spec.partition_unit, field=spec.partition_by
            )
        table._properties |= {
            "type": "TABLE",
            "numRows": str(int(size.rows)),
            "numBytes": str(int(size.rows * size.row_bytes)),
        }
        return table

    def run(self, query: Query, **_: Any) -> QueryResult:
        """Note a statement, which changes a row."""
        self.sent.append(query)
        row = {"listed": 1, "alive": 1, "highest": 1, "absent": 0, "batch_rows": 0, "missed": 0}
        return QueryResult("job", 1, 1, 0, 0, iter([row]))

    def list_rows(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        """Return no row."""
        return iter(())


def batch_of(changed: int, *, old: int = 10, **values: Any) -> Manifest:
    """Return the batch of a run that found so many changes of the last two hours.

    All but `old` of the tickets are of this month, and those of ten months of the last four years.
    """
    months = {0, *(1 + 5 * number for number in range(min(old, changed)))}
    plain = replace(
        SMALL,
        rows=changed,
        versions=tuple(
            Version(f"4213700000000{number:05d}", f"h{number}") for number in range(changed)
        ),
        served_at=NOON,
        read_since=NOON,
        window=Window(NOON - timedelta(hours=2), NOON),
        created_months=tuple(sorted(month(ago) for ago in months)),
        oldest_modified=NOON - timedelta(hours=2),
    )
    return replace(plain, **values)


def unbounded(manifest: Manifest) -> Manifest:
    """Return the batch without what bounds its statements."""
    return replace(manifest, created_months=None, oldest_modified=None)


def of_everything(tickets: int) -> Manifest:
    """Return the batch of a full load."""
    return batch_of(
        1,
        rows=tickets,
        versions=None,
        staging=STAGING,
        mode=Mode.FULL,
        created_months=tuple(month(ago) for ago in reversed(range(MONTHS))),
        oldest_modified=month(MONTHS - 1),
        window=Window(None, NOON),
    )


class PaperDesk:
    """The statements of the commands, over a helpdesk's tables."""

    def __init__(self, sizes: Mapping[str, TableOnPaper]) -> None:
        self._client = PaperClient(sizes)
        self.dataset = self._client.dataset
        self._prices = PriceList(sizes)
        client = cast(BigQueryClient, self._client)
        self._warehouse = SyncTables(client, sync_name="tickets", small_batch_bytes=1 << 20)
        self._writer = TableWriter(client)

    def bills(self, queries: Iterable[Query]) -> list[Bill]:
        """Return what each statement bills."""
        return [self._prices.bill(query) for query in queries]

    def write(self, manifest: Manifest) -> list[Query]:
        """Write a batch and close its run; it is judged by the tables whether webhooks came."""
        missed = missed_by_table(self._client.dataset, manifest, JUDGING)
        self._merge(manifest, missed)
        return [*self._take(), self.close(manifest)]

    def close(self, manifest: Manifest, *, is_repeated: bool = False) -> Query:
        """Return the statement that closes a run."""
        judging = JUDGING if manifest.mode is Mode.INCREMENTAL else UNJUDGED
        return commit_statement(
            self._client.dataset, "tickets", manifest, SEEN, judging, is_repeated=is_repeated
        )

    def repair(self, manifest: Manifest) -> list[Query]:
        """Write tickets that were fetched by id, and count what became of them."""
        forced = replace(manifest, is_range=True, forced=True, staging=STAGING)
        self._merge(forced, None)
        return [*self._take(), batch_counts_query(self._client.dataset, forced)]

    def reconcile(self) -> list[Query]:
        """Store an inventory of the staged rows, and compare it with tickets that all agree."""
        spec, snapshot = tables.TICKET_INVENTORY, InventorySnapshot("s", "run", NOON, NOON, 1, 1)
        inventories = InventoryTables(cast(BigQueryClient, self._client), self._writer)
        names = "ticket_id, modifiedTime, CAST(NULL AS BOOL) AS gone"
        staged = self._client.dataset.table(STAGING)
        entries = Query(f"SELECT 's' AS sweep_id, {names}, _fetched_at AS listed_at FROM {staged}")
        bounds = PartitionBounds.at("listed_at", NOON)
        self._writer.merge(spec, entries, run_id="run", step="i", partition_bounds=bounds)
        self._client.run(inventory_diff.row_counts(self._client.dataset, snapshot))
        inventories.compare(snapshot, Cutoffs(NOON, NOON))
        self._client.run(inventory_diff.difference_counts(self._client.dataset, snapshot))
        return self._take()

    def status(self) -> list[Query]:
        """Look up the last runs, what was missed and what waits, as `status` does."""
        dataset = self._client.dataset
        waiting = count_pending(dataset, day(EVENT_DAYS), has_outcomes=True)
        return [newest_runs(dataset, "tickets", 10), missed_since(dataset, 24), waiting]

    def merge_webhooks(self, events: int) -> list[Query]:
        """Merge the tickets that so many events bring."""
        manifest = batch_of(events)
        writer = TableWriter(cast(BigQueryClient, self._client), small_batch_bytes=8 << 20)
        bounds = PartitionBounds.around("createdTime", manifest.created_months or ())
        columns = (*tables.TICKETS.columns, tables.ALIVE_AT)
        with _rows(manifest) as spool:
            writer.merge(
                tables.TICKETS,
                spool,
                run_id="run",
                step="webhook",
                columns=columns,
                partition_bounds=bounds,
            )
        return self._take()

    def _merge(self, manifest: Manifest, missed: Query | None) -> None:
        with _rows(manifest) if manifest.staging is None else Spool(0) as spool:
            changes = self._warehouse.requests.changes(manifest, spool)
            changes.write(self._writer, tables.RAW_TICKET_CHANGES, run_id="run")
            if missed is not None and manifest.mode is Mode.INCREMENTAL:
                MergeRequest(missed).write(self._writer, tables.MISSED_UPDATES, run_id="run")
            request = self._warehouse.requests.tickets(manifest)
            request.write(self._writer, tables.TICKETS, run_id="run")

    def _take(self) -> list[Query]:
        sent, self._client.sent = self._client.sent, []
        return sent


def _rows(manifest: Manifest) -> Spool:
    spool = Spool(1 << 20)
    for version in manifest.versions or ():
        keys = (version.ticket_id, version.content_hash)
        spool.append(
            b'{"ticket_id":"%s","_content_hash":"%s","modifiedTime":"2026-11-01T12:00:00Z"}'
            % tuple(each.encode() for each in keys)
        )
    return spool


def pending(dataset: Dataset) -> Query:
    """Return how a drain of every few minutes looks for what waits."""
    return pending_events(dataset, day(1))


def brought(dataset: Dataset, waiting: int) -> Query:
    """Return how it reads what so many events of the last minutes bring."""
    keys = [(f"42137{number:012d}", f"e{number}") for number in range(waiting)]
    return brought_tickets(dataset, keys, NOON - timedelta(minutes=5), NOON)
