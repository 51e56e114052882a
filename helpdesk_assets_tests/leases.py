"""Leases in tests: held throughout, in virtual time, or as if by another machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from google.cloud import bigquery

from helpdesk_assets.model.lease import HolderProcess
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets.warehouse.stores import writer_lease
from helpdesk_assets.warehouse.stores.lease_waiting import Clocks
from helpdesk_assets.warehouse.stores.writer_lease import WriterLease
from helpdesk_assets_tests.batches import NOON


@contextmanager
def one_writer(first: Warehouse, *others: Warehouse) -> Iterator[None]:
    """Hold the lease for all of these as if they were one warehouse.

    Tests of single steps do so, as the operations around these steps do.
    """
    for other in others:
        vars(other)["_lease"] = lease_of(first)
    with first.lease("test", run_id="test"):
        yield


class VirtualTime:
    """Clocks that only a sleep moves. `on_sleep` is called after each."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.on_sleep: Callable[[], None] = lambda: None
        self.clocks = Clocks(self.now, lambda: self.seconds, self.sleep, lambda: 0.5)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.on_sleep()


@contextmanager
def held_elsewhere(warehouse: Warehouse, run_id: str) -> Iterator[ExitStack]:
    """Hold the lease as a process of another machine that gives no sign of life.

    Closing what is yielded gives it back.
    """
    with mock.patch.object(HolderProcess, "current", _elsewhere), ExitStack() as stack:
        stack.enter_context(warehouse.lease("sync", run_id=run_id))
        holding = stack.pop_all()
    try:
        yield holding
    finally:
        holding.close()


def _elsewhere() -> HolderProcess:
    here = _current()
    return replace(here, host="elsewhere", token="another", boot="another")


_current = HolderProcess.current


def lease_of(warehouse: Warehouse) -> WriterLease:
    """Return the lease behind a warehouse."""
    lease: WriterLease = vars(warehouse)["_lease"]
    return lease


class WatchedWrites:
    """What was written to the tables that have one writer, and who held the lease then.

    `tables` are the tables written, `purposes` what the lease was taken for, and `unleased` the
    statements that were sent without it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables: set[str] = set()
        self.purposes: set[str] = set()
        self.unleased: list[str] = []
        hold, query = WriterLease.hold, bigquery.Client.query

        def watched_hold(lease: WriterLease, purpose: str, **how: Any) -> Any:
            self.purposes.add(purpose)
            return hold(lease, purpose, **how)

        def watched_query(client: bigquery.Client, sql: str, *rest: Any, **how: Any) -> Any:
            self._note(sql)
            return query(client, sql, *rest, **how)

        monkeypatch.setattr(WriterLease, "hold", watched_hold)
        monkeypatch.setattr(bigquery.Client, "query", watched_query)

    def _note(self, sql: str) -> None:
        found = _WRITTEN.match(sql)
        if found is None:
            return
        self.tables.add(found[1])
        if not writer_lease._held_here:
            self.unleased.append(sql)


_ONE_WRITER = "|".join(spec.name for spec in (*tables.LEASED_TABLES, tables.SYNC_STATE))
_WRITTEN = re.compile(rf"\s*(?:MERGE INTO|INSERT INTO|UPDATE|DELETE FROM) `[^`]*\.({_ONE_WRITER})`")
