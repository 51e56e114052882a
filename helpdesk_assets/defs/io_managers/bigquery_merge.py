"""Writes each asset's value with one MERGE, as the asset's definition metadata describe.

dagster-gcp's IO manager empties the table before it loads, so a crash in between leaves it empty,
and an incremental batch would replace the history. Here, the key and the guard are in the
definition metadata (see `table_metadata.describe`), so any asset can use it. Must not know tickets.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.table_metadata import spec_from
from helpdesk_assets.errors import UserError
from helpdesk_assets.settings import load_settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.dataframes import read_frame, spool_frame
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import MergeReport, TableSpec
from helpdesk_assets.warehouse.tables import LEASED_TABLES

if TYPE_CHECKING:
    import pandas as pd


class BigQueryMergeIOManager(dg.ConfigurableIOManager):
    """Stores a DataFrame, a `Spool` of rows, a `Query` or a `MergeRequest`; loads a DataFrame.

    The table is `table` in the asset's metadata, else the last part of its key. The dataset is
    `schema` in the metadata, else the field `dataset`, else `BIGQUERY_DATASET`.
    """

    bigquery: HelpdeskBigQuery
    dataset: str = ""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Merges the value and closes a spool. A retry that merges it again changes nothing."""
        stated = context.definition_metadata
        try:
            with as_failure(), self.bigquery.warehouse(self._dataset(stated)) as warehouse:
                description = context.asset_spec.description
                spec = spec_from(context.asset_key, stated, description)
                require_dataset(context.asset_key, obj, warehouse.dataset)
                with self._lease(warehouse, spec, context.run_id):
                    report = write(warehouse, spec, obj, run_id=context.run_id, attempt=_attempt())
                table_id = warehouse.dataset.table_id(spec.name)
                job_url = next(map(warehouse.console_url, reversed(report.job_ids)), "")
        finally:
            _close(obj)
        price = self.bigquery.settings().bigquery_price_per_tib
        context.add_output_metadata(metadata.merged(report, table_id, job_url, price))

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Loads the whole table, or only the columns in the input's metadata `columns`."""
        upstream = context.upstream_output
        stated = (upstream.definition_metadata if upstream else None) or {}
        columns = context.definition_metadata.get("columns")
        with as_failure(), self.bigquery.warehouse(self._dataset(stated)) as warehouse:
            return read_frame(warehouse, spec_from(context.asset_key, stated), columns)

    def _lease(
        self, warehouse: BigQueryClient, spec: TableSpec, run_id: str
    ) -> AbstractContextManager[None]:
        """Returns the right to write the table: the sync's own tables have one writer at a time."""
        settings = self.bigquery.settings()
        leased = {each.name for each in LEASED_TABLES}
        if spec.name not in leased or warehouse.dataset.name != settings.bigquery_dataset:
            return nullcontext()
        return SyncTables.from_settings(warehouse, settings).lease("sync", run_id=run_id)

    def _dataset(self, stated: Any) -> str | None:
        return stated.get("schema") or self.dataset or None


def require_dataset(asset_key: dg.AssetKey, value: Any, dataset: Dataset) -> None:
    """Checks that a request that belongs to one dataset is merged there.

    The sync's own assets make such requests. Written elsewhere, a batch would be in one dataset
    and the watermark, which moves past it, in another.

    Raises:
        UserError: the IO manager writes to another dataset.
    """
    here = f"{dataset.project}.{dataset.name}"
    if isinstance(value, MergeRequest) and value.dataset not in ("", here):
        raise UserError(
            f"Asset {asset_key.to_user_string()}: the IO manager's `dataset` or `bigquery` makes "
            f"it write to {here}, and the sync's other steps use {value.dataset}. Nothing was "
            "written. Leave `dataset` empty and set BIGQUERY_DATASET, or give the sync's assets an "
            "IO manager of their own."
        )


def write(
    warehouse: BigQueryClient, spec: TableSpec, value: Any, *, run_id: str, attempt: int = 0
) -> MergeReport:
    """Merges a value of any type that the IO manager accepts.

    Args:
        warehouse: The dataset to write to.
        spec: The table.
        value: A DataFrame, a `Spool`, a `Query` or a `MergeRequest`.
        run_id: Id of the Dagster run; it makes job ids repeatable.
        attempt: Number of the step's retry, 0 for the first try.

    Raises:
        UserError: the value has another type.
    """
    small = load_settings().bigquery_small_batch_bytes
    writer = TableWriter(warehouse, small_batch_bytes=small)
    if isinstance(value, Spool | Query):
        value = MergeRequest(value)
    if isinstance(value, MergeRequest):
        return value.write(writer, spec, run_id=run_id, attempt=attempt)
    if not hasattr(value, "itertuples"):
        raise UserError(
            f"Table {spec.name}: a {type(value).__name__} cannot be merged. Return a pandas "
            "DataFrame, a Query, a Spool or a MergeRequest."
        )
    rows = spool_frame(value, spec, Schema(warehouse).columns(spec), small)
    with rows.spool:
        if not spec.columns:  # without declared columns, the table gets those of the frame
            if rows.spool.rows == 0:
                return MergeReport(spec.name, 0, inserted=0, updated=0)
            spec = replace(spec, columns=rows.columns)
        return writer.merge(
            spec,
            rows.spool,
            run_id=run_id,
            step=spec.name,
            attempt=attempt,
            columns=rows.columns,
        )


def _attempt() -> int:
    """Number of the step's retry.

    Dagster has it only in the asset's context. Outside of one, as in a unit test, it is 0.
    """
    try:
        return dg.OpExecutionContext.get().retry_number
    except dg.DagsterInvariantViolationError:
        return 0


def _close(value: Any) -> None:
    source = value.source if isinstance(value, MergeRequest) else value
    if isinstance(source, Spool):
        source.close()
