"""The lease of a dataset in memory."""

from __future__ import annotations

from helpdesk_assets.model.lease import LeaseRecord
from helpdesk_assets.warehouse.stores.lease_cell import StoredLease
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset


class InMemoryLeaseCell:
    """A `LeaseCell`."""

    def __init__(self, dataset: InMemoryDataset) -> None:
        self._dataset = dataset

    def read(self) -> StoredLease:
        with self._dataset.lock:
            return self._dataset.lease

    def write(self, record: LeaseRecord, tag: object) -> StoredLease | None:
        with self._dataset.lock:
            if self._dataset.lease.tag is not tag:
                return None
            self._dataset.lease = StoredLease(record, object())
            return self._dataset.lease
