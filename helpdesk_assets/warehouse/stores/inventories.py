"""The tables of one reconciliation: the sweep, and the differences that it found.

Must not know helpdesks, nor what is done about a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from helpdesk_assets.model.reconciliation import Found, Kind, Outcome, Sizes, Sweep
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import Outcome as Answer
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.merge.statement import Prune
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import inventory_diff
from helpdesk_assets.warehouse.statements.inventory_diff import Cuts

# Long enough to look at the last one when the next has found something.
KEPT_FOR = timedelta(days=15)


class SweepTables:
    def __init__(self, warehouse: Warehouse, writer: TableWriter) -> None:
        self._warehouse = warehouse
        self._dataset = warehouse.dataset
        self._writer = writer

    def store(self, sweep: Sweep, lines: Spool) -> Sizes:
        """Keep the sweep's lines; how many tickets they are, and how many the table has."""
        spec, at = tables.TICKET_INVENTORY, sweep.listed_at
        self._writer.merge(
            spec,
            lines,
            run_id=sweep.run_id,
            step=spec.name,
            prune=Prune("listed_at", at, at),
        )
        row = next(self._ask(sweep, inventory_diff.sizes(self._dataset, sweep), "sizes").rows)
        return Sizes(int(row["listed"]), int(row["alive"]))

    def compare(self, sweep: Sweep, cuts: Cuts) -> None:
        """Record every difference."""
        self._record(sweep, inventory_diff.compare(self._dataset, sweep, cuts))

    def found(self, sweep: Sweep, kinds: tuple[Kind, ...]) -> Iterator[str]:
        """The ids of these kinds, as they are asked for: there may be any number."""
        query = inventory_diff.found(self._dataset, sweep, kinds)
        for row in self._ask(sweep, query, "found").rows:
            yield row["ticket_id"]

    def settle(self, sweep: Sweep, *, gone_were_asked: bool) -> None:
        """Record what became of each difference."""
        query = inventory_diff.outcomes(self._dataset, sweep, gone_were_asked=gone_were_asked)
        self._record(sweep, query)

    def counted(self, sweep: Sweep) -> tuple[Found, ...]:
        """The differences by what they are and what became of them."""
        rows = self._ask(sweep, inventory_diff.counted(self._dataset, sweep), "counted").rows
        return tuple(
            Found(
                Kind(row["kind"]),
                Outcome(row["outcome"]),
                int(row["count"]),
                tuple(row["ticket_ids"]),
            )
            for row in rows
        )

    def forget(self, sweep: Sweep) -> None:
        """Remove sweeps that nobody will look at any more."""
        before: datetime = sweep.listed_at - KEPT_FOR
        self._ask(sweep, inventory_diff.forget(self._dataset, before), "forget")

    def _record(self, sweep: Sweep, query: Query) -> None:
        spec = tables.INVENTORY_DIFFERENCES
        self._writer.merge(spec, query, run_id=sweep.run_id, step=spec.name)

    def _ask(self, sweep: Sweep, query: Query, step: str) -> Answer:
        return self._warehouse.run(query, run_id=sweep.run_id, step=step)
