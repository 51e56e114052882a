"""Where a long reading is kept while it goes on: its rows in a staging table, its place in the
state row.

The place is written by compare-and-set on the state row's version, without moving it: a run that
has been overtaken by another one must not leave its own place there. Must not know helpdesks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from helpdesk_assets import tables
from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.model import BadTicket, Mode
from helpdesk_assets.spool import Spool
from helpdesk_assets.sync_state import Unfinished
from helpdesk_assets.table_spec import ColumnType
from helpdesk_assets.warehouse.client import Warehouse
from helpdesk_assets.warehouse.schema import Schema
from helpdesk_assets.warehouse.sql import Dataset, Parameter, Query
from helpdesk_assets.warehouse.staging import Staging

_TIMES = ("saved_at", "since")


class LoadStore:
    """Keeps the reading of one run."""

    def __init__(self, warehouse: Warehouse, *, sync_name: str, run_id: str) -> None:
        self._warehouse = warehouse
        self._schema = Schema(warehouse)
        self._staging = Staging(warehouse)
        self._sync_name = sync_name
        self._run_id = run_id

    def begin(self, staging: str) -> None:
        """See `sync.saving.Store`."""
        # On the first load the dataset may not be there either.
        self._schema.ensure(tables.SYNC_STATE)
        self._staging.begin(staging, tables.RAW_TICKET_CHANGES.columns)

    def add_rows(self, spool: Spool, staging: str) -> None:
        """See `sync.saving.Store`."""
        columns = tables.RAW_TICKET_CHANGES.columns
        self._staging.add(staging, columns, spool, run_id=self._run_id, step="raw_ticket_changes")

    def note(self, unfinished: Unfinished, seen_version: int) -> None:
        """See `sync.saving.Store`."""
        statement = noting_statement(
            self._warehouse.dataset, self._sync_name, unfinished, seen_version
        )
        outcome = self._warehouse.run(statement, run_id=self._run_id, step="unfinished")
        if not outcome.changed:  # two, where two first runs have both made the row
            raise AnotherWriter(
                f"Noting how far the reading of sync {self._sync_name!r} has come: another run has "
                "moved its state meanwhile. No ticket is lost; run the sync again, and let one "
                "schedule or person at a time run it."
            )


def noting_statement(
    dataset: Dataset, sync_name: str, unfinished: Unfinished, seen_version: int
) -> Query:
    """The compare-and-set by which a reading's place comes into the state row."""
    sql = f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
    @sync_name AS sync_name,
    @unfinished AS unfinished
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND T.version = @seen_version THEN UPDATE SET
  unfinished = S.unfinished
WHEN NOT MATCHED AND @seen_version = 0 THEN INSERT
  (sync_name, version, unfinished)
VALUES
  (S.sync_name, 0, S.unfinished)"""
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("unfinished", ColumnType.STRING, to_text(unfinished)),
            Parameter("seen_version", ColumnType.INT64, seen_version),
        ),
    )


def to_text(unfinished: Unfinished) -> str:
    plain = asdict(unfinished)
    times = {name: value.isoformat() for name in _TIMES if (value := plain[name])}
    return json.dumps({**plain, **times, "mode": unfinished.mode.value})


def from_text(text: str | None) -> Unfinished | None:
    """None too for what another version of this program has noted otherwise: the reading then
    begins anew, which loses no ticket."""
    if not text:
        return None
    stored: dict[str, Any] = json.loads(text)
    if not {field.name for field in fields(Unfinished)} <= stored.keys():
        return None
    times = {name: datetime.fromisoformat(stored[name]) for name in _TIMES if stored[name]}
    known = {field.name: stored[field.name] for field in fields(Unfinished)}
    bad = tuple(BadTicket(**ticket) for ticket in stored["bad"])
    return Unfinished(**{**known, **times, "mode": Mode(stored["mode"]), "bad": bad})
