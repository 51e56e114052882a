"""Asks BigQuery what `warehouse.write_access` needs: metadata, and one statement that is tried."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from helpdesk_assets.model.batch import batch_staging_name
from helpdesk_assets.naming import batch_id
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.lifetimes import keep_rows, needs_all_partitions
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits, TableTraits

if TYPE_CHECKING:
    from google.cloud import bigquery


class DatasetWriteAccess:
    """The `WriteAccess` of a dataset in BigQuery."""

    def __init__(
        self, client: BigQueryClient, specs: Sequence[TableSpec] = tables.SYNC_TABLES
    ) -> None:
        self._client = client
        self._specs = specs

    def report(self) -> DatasetReport:
        """Return what metadata says of the dataset and of those tables that exist."""
        found = self._client.get_dataset()
        held = ((spec, self._client.get_table(spec.name)) for spec in self._specs if found)
        dataset = self._client.dataset
        return DatasetReport(
            name=f"{dataset.project}.{dataset.name}",
            wanted_location=self._client.wanted_location,
            dataset=_dataset_traits(found) if found else None,
            tables=tuple(_table_traits(spec, table) for spec, table in held if table),
        )

    def keep_rows(self) -> None:
        """Take away what would let tables or rows vanish."""
        for spec in self._specs:
            keep_rows(self._client, spec)

    def try_writing(self, *, run_id: str) -> None:
        """Create a table, run a statement there that changes no row, and drop it.

        A sandbox lets queries, loads and new tables pass and refuses statements that change data,
        whether they change any or not.
        """
        self._client.ensure_dataset()
        # Named like a staging table: if the drop fails, the cleanup of a later run removes it.
        name = batch_staging_name(batch_id(datetime.now(UTC), uuid.uuid4().hex, 0))
        staging = Staging(self._client)
        staging.begin(name, [Column("probe", ColumnType.STRING)])
        try:
            self._client.run(trial_statement(self._client, name), run_id=run_id, step="trial")
        finally:
            staging.drop(name)


def trial_statement(client: BigQueryClient, table: str) -> Query:
    """Return a statement that needs every right to change rows, and changes none."""
    return Query(f"DELETE FROM {client.dataset.table(table)} WHERE FALSE")


def _dataset_traits(found: bigquery.Dataset) -> DatasetTraits:
    encryption = found.default_encryption_configuration
    return DatasetTraits(
        location=found.location,
        table_lifetime=_span(found.default_table_expiration_ms),
        partition_lifetime=_span(found.default_partition_expiration_ms),
        collation=str(found.to_api_repr().get("defaultCollation") or ""),
        time_travel_hours=found.max_time_travel_hours,
        storage_billing=found.storage_billing_model,
        kms_key=encryption.kms_key_name if encryption else None,
    )


def _table_traits(spec: TableSpec, found: bigquery.Table) -> TableTraits:
    partitioning, constraints = found.time_partitioning, found.table_constraints
    has_key = constraints is not None and constraints.primary_key is not None
    return TableTraits(
        name=spec.name,
        kind=found.table_type or "TABLE",
        expires=found.expires,
        partition_lifetime=_span(partitioning.expiration_ms) if partitioning else None,
        must_keep_partitions=needs_all_partitions(spec),
        needs_filter=bool(found.require_partition_filter),
        is_streamed_into=found.streaming_buffer is not None,
        applies_changes=has_key and found.max_staleness is not None,
        ignoring_case=_ignoring_case(spec, found),
    )


def _ignoring_case(spec: TableSpec, found: bigquery.Table) -> tuple[str, ...]:
    keys = {name.lower() for name in spec.key}
    fields = (each.to_api_repr() for each in found.schema)
    return tuple(
        each["name"] for each in fields if each["name"].lower() in keys and each.get("collation")
    )


def _span(milliseconds: int | str | None) -> timedelta | None:
    return timedelta(milliseconds=int(milliseconds)) if milliseconds else None
