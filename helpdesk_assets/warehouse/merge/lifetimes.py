"""How long tables and their partitions live: what BigQuery drops by itself, and what it must not.

A dataset may have default lifetimes, which every table gets that says nothing of its own. Uses API
calls only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpdesk_assets.errors import UserError, WarehouseRefused
from helpdesk_assets.formatting import format_time
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.table_spec import MergePolicy, TableSpec

if TYPE_CHECKING:
    from google.cloud import bigquery

log = logging.getLogger(__name__)

DAY_MILLISECONDS = 86_400_000


def milliseconds(days: int | None) -> int | None:
    """Return the lifetime of a partition for the API; None, or 0 days, for ever.

    A partition's age counts from its beginning, so one day is added for its last rows.
    """
    return (days + 1) * DAY_MILLISECONDS if days else None


def needs_all_partitions(spec: TableSpec) -> bool:
    """Return whether the table holds what is newest, so that a dropped partition is missed."""
    return spec.merge_policy is MergePolicy.NEWER_WINS


def undo_inherited(warehouse: BigQueryClient, spec: TableSpec, made: bigquery.Table) -> None:
    """Take from a new table what its dataset has given it.

    The API cannot be told at once that a table is to stay: what a request omits means the default.
    """
    if made.expires is not None:
        _keep_table(warehouse, made)
    partitions = made.time_partitioning
    if partitions is not None and partitions.expiration_ms and not spec.partition_days:
        _keep_partitions(warehouse, made)


def keep_rows(warehouse: BigQueryClient, spec: TableSpec) -> None:
    """Take away what would let the table vanish, or rows of one that holds what is newest.

    How long a history is kept is a person's choice, so partitions of other tables stay as they
    are.

    Raises:
        WarehouseRefused: BigQuery does not let it.
    """
    found = warehouse.get_table(spec.name)
    if found is None or found.table_type not in ("TABLE", None):
        return
    if found.expires is not None:
        when = format_time(found.expires)
        _keep_table(warehouse, found)
        log.warning("Table %s was to be dropped on %s. It now stays.", spec.name, when)
    partitions = found.time_partitioning
    if needs_all_partitions(spec) and partitions is not None and partitions.expiration_ms:
        _keep_partitions(warehouse, found)
        log.warning("Partitions of table %s were to be dropped. They now stay.", spec.name)


def keep_view(warehouse: BigQueryClient, view: bigquery.Table) -> None:
    """Take from a new view what its dataset has given it."""
    if view.expires is not None:
        _keep_table(warehouse, view)


def set_partitions(warehouse: BigQueryClient, table: bigquery.Table, wanted: int | None) -> None:
    """Let BigQuery drop partitions after that many milliseconds; None: never."""
    # None must be sent: what a request omits stays as it is.
    table.time_partitioning.expiration_ms = wanted
    warehouse.update_partitioning(table)


def _keep_table(warehouse: BigQueryClient, table: bigquery.Table) -> None:
    with _or_by_hand(table, "expiration_timestamp"):
        table.expires = None
        warehouse.update_expiry(table)


def _keep_partitions(warehouse: BigQueryClient, table: bigquery.Table) -> None:
    with _or_by_hand(table, "partition_expiration_days"):
        set_partitions(warehouse, table, None)


@contextmanager
def _or_by_hand(table: bigquery.Table, option: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise WarehouseRefused(
            f"BigQuery is to drop rows of {table.table_id} that must stay, and this run may not "
            f"change that: {error} Run `ALTER TABLE {table.table_id} SET OPTIONS ({option} = "
            "NULL)` in its dataset, and run again."
        ) from error
