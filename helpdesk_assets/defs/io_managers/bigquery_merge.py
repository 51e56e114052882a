"""Writes every asset's value with one MERGE, told how by the asset's own metadata.

dagster-gcp's IO manager empties the table before it loads, so a crash in between leaves nothing,
and an incremental batch would replace the history. Key and guard are in the definition metadata
(see `table_metadata.describe`), so any asset can be stored this way. Must not know tickets.
"""

from __future__ import annotations

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
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.stores.sync_tables import MergeRequest, SyncTables
from helpdesk_assets.warehouse.table_spec import MergeReport, TableSpec

if TYPE_CHECKING:
    import pandas as pd


class BigQueryMergeIOManager(dg.ConfigurableIOManager):
    """Takes a DataFrame, a `Spool` of rows, a `Query` or a `MergeRequest`; gives a DataFrame.

    The table is the last part of the asset key, or `table` in the metadata. The dataset is `schema`
    in the metadata, else the field here, else `BIGQUERY_DATASET`.
    """

    bigquery: HelpdeskBigQuery
    dataset: str = ""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Merge the value; done again by a retry it changes nothing. A spool is closed here."""
        stated = context.definition_metadata
        try:
            with as_failure(), self.bigquery.warehouse(self._dataset(stated)) as warehouse:
                description = context.asset_spec.description
                spec = spec_from(context.asset_key, stated, description)
                report = write(warehouse, spec, obj, run_id=context.run_id, attempt=_attempt())
                table_id = warehouse.dataset.table_id(spec.name)
        finally:
            _close(obj)
        context.add_output_metadata(metadata.merged(report, table_id))

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The whole table, or the columns that the input's `columns` metadata names."""
        upstream = context.upstream_output
        stated = (upstream.definition_metadata if upstream else None) or {}
        columns = context.definition_metadata.get("columns")
        with as_failure(), self.bigquery.warehouse(self._dataset(stated)) as warehouse:
            return read_frame(warehouse, spec_from(context.asset_key, stated), columns)

    def _dataset(self, stated: Any) -> str | None:
        return stated.get("schema") or self.dataset or None


def write(
    warehouse: BigQueryClient, spec: TableSpec, value: Any, *, run_id: str, attempt: int = 0
) -> MergeReport:
    """Merge any value that the IO manager takes.

    Raises:
        UserMistake: a value of another kind.
    """
    settings = load_settings()
    small = settings.bigquery_small_batch_bytes
    if isinstance(value, Spool | Query):
        value = MergeRequest(value)
    if isinstance(value, MergeRequest):
        sync_tables = SyncTables(warehouse, sync_name=settings.sync_name, small_batch_bytes=small)
        return sync_tables.write(spec, value, run_id=run_id, attempt=attempt)
    if not hasattr(value, "itertuples"):
        raise UserError(
            f"Table {spec.name}: a {type(value).__name__} cannot be merged. Return a pandas "
            "DataFrame, a Query, a Spool or a MergeRequest."
        )
    rows = spool_frame(value, spec, small)
    if not spec.columns:  # then whatever the frame holds belongs into the table
        spec = replace(spec, columns=rows.columns)
    with rows.spool:
        return TableWriter(warehouse, small_batch_bytes=small).merge(
            spec,
            rows.spool,
            run_id=run_id,
            step=spec.name,
            attempt=attempt,
            columns=rows.columns,
        )


def _attempt() -> int:
    """Which try of the step this is. Dagster tells it to the asset's context only; elsewhere, as
    in a unit test, it is the first."""
    try:
        return dg.OpExecutionContext.get().retry_number
    except dg.DagsterInvariantViolationError:
        return 0


def _close(value: Any) -> None:
    source = value.source if isinstance(value, MergeRequest) else value
    if isinstance(source, Spool):
        source.close()
