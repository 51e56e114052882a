"""Tests of single steps hold the lease throughout, as the operations around these steps do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.in_memory.warehouse import InMemoryWarehouse


@contextmanager
def one_writer(
    first: SyncTables | InMemoryWarehouse, *others: SyncTables | InMemoryWarehouse
) -> Iterator[None]:
    """Hold the lease for all of these as if they were one warehouse."""
    for other in others:
        other._lease = first._lease
    with first.lease("test", run_id="test"):
        yield
