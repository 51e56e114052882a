"""The lease of a dataset, in the description of an empty table.

Metadata is read and written without a query job, and BigQuery compares the etag that an update
names: the only compare-and-set that costs nothing. Must not know who may take the lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpdesk_assets.model.lease import LeaseRecord
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.stores.lease_cell import StoredLease

if TYPE_CHECKING:
    from google.cloud import bigquery


class LeaseTable:
    """The `LeaseCell` of a dataset. A tag is the table as it was read."""

    def __init__(self, client: BigQueryClient) -> None:
        self._client = client
        self._schema = Schema(client)

    def read(self) -> StoredLease:
        """Return what the table says now; one call."""
        return _stored(self._client.get_table(tables.WRITER_LEASE.name, fresh=True))

    def write(self, record: LeaseRecord, tag: bigquery.Table | None) -> StoredLease | None:
        """Write the record if the table has not changed; one call. Makes the table if need be."""
        if tag is None:
            self._schema.ensure(tables.WRITER_LEASE)
            return None
        from google.cloud import bigquery

        changed = bigquery.Table.from_api_repr(tag.to_api_repr())
        changed.description = record.to_text()
        written = self._client.swap_description(changed)
        return None if written is None else _stored(written)


def _stored(found: bigquery.Table | None) -> StoredLease:
    record = None if found is None else LeaseRecord.from_text(found.description)
    return StoredLease(record, found)
