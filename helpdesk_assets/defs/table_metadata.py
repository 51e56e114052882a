"""Converts a table's spec to an asset's definition metadata and back, for the IO manager.

This module defines the keys. Must not know tickets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from helpdesk_assets.errors import UserError
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

COLUMN_SCHEMA = "dagster/column_schema"
_ALIASES = {"INT": "INT64", "INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def describe(spec: TableSpec) -> dict[str, Any]:
    """Returns the definition metadata that tell the IO manager how to write the table."""
    declared_values: dict[str, Any] = {
        "table": spec.name,
        "merge_key": list(spec.key),
        "merge_guard": spec.merge_policy.value,
        "newest_first": list(spec.newest_first),
        "version_column": spec.version,
        "fingerprint_column": spec.content_hash_column,
        "read_at_column": spec.read_at_column,
        "ended_column": spec.deleted_column,
        "alive_at_column": spec.alive_at_column,
        "partial_flag": spec.tombstone_flag,
        "write_once": list(spec.write_once),
        "stamps": list(spec.stamps),
        "status_column": spec.status,
        "status_moves": [list(move) for move in spec.transitions],
        "partition_by": spec.partition_by,
        "partition_unit": spec.partition_unit if spec.partition_by else None,
        "cluster_by": list(spec.cluster_by),
        COLUMN_SCHEMA: column_schema(spec) if spec.columns else None,
    }
    return {key: value for key, value in declared_values.items() if value}


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """Returns the table's columns as the UI shows them."""
    return dg.TableSchema(columns=[_to_dagster(column, spec) for column in spec.columns])


def spec_from(
    asset_key: dg.AssetKey, metadata: Mapping[str, Any], description: str | None = None
) -> TableSpec:
    """Builds the table's spec from an asset's definition metadata.

    Without `dagster/column_schema` the spec has no columns and a DataFrame brings its own. Without
    `merge_guard` rows are only inserted.

    Args:
        asset_key: Its last part is the table's name, unless the metadata have `table`.
        metadata: The asset's definition metadata.
        description: The asset's description; its first paragraph becomes the table's.

    Raises:
        UserError: the metadata have no `merge_key`, or contradict themselves.
    """
    declared_values = {key: _unwrapped(value) for key, value in metadata.items()}
    asset = asset_key.to_user_string()
    version = declared_values.get("version_column")
    spec = TableSpec(
        name=declared_values.get("table") or asset_key.path[-1],
        columns=_columns(asset, declared_values.get(COLUMN_SCHEMA)),
        key=_names(declared_values.get("merge_key")),
        merge_policy=_guard(asset, declared_values.get("merge_guard")),
        newest_first=_names(declared_values.get("newest_first")) or _names(version),
        version=version,
        content_hash_column=declared_values.get("fingerprint_column"),
        read_at_column=declared_values.get("read_at_column"),
        deleted_column=declared_values.get("ended_column"),
        alive_at_column=declared_values.get("alive_at_column"),
        tombstone_flag=declared_values.get("partial_flag"),
        write_once=_names(declared_values.get("write_once")),
        stamps=_names(declared_values.get("stamps")),
        status=declared_values.get("status_column"),
        transitions=tuple(
            (before, after) for before, after in declared_values.get("status_moves") or ()
        ),
        partition_by=declared_values.get("partition_by"),
        partition_unit=declared_values.get("partition_unit") or "MONTH",
        cluster_by=_names(declared_values.get("cluster_by")),
        description=(description or "").partition("\n\n")[0],
    )
    _validate(asset, spec)
    return spec


def _unwrapped(value: Any) -> Any:
    return value.value if isinstance(value, dg.MetadataValue) else value


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _to_dagster(column: Column, spec: TableSpec) -> dg.TableColumn:
    return dg.TableColumn(
        column.name,
        column.type.value,
        column.description or None,
        constraints=dg.TableColumnConstraints(nullable=column.name not in spec.key),
    )


def _columns(asset: str, schema: dg.TableSchema | None) -> tuple[Column, ...]:
    if schema is None:
        return ()
    return tuple(Column(c.name, _type(asset, c), c.description or "") for c in schema.columns)


def _type(asset: str, column: dg.TableColumn) -> ColumnType:
    name = column.type.upper()
    try:
        return ColumnType(_ALIASES.get(name, name))
    except ValueError:
        raise UserError(
            f"Asset {asset}: column {column.name} in {COLUMN_SCHEMA} has the type {column.type!r}. "
            f"Use one of {', '.join(ColumnType)}."
        ) from None


def _guard(asset: str, declared_values: str | None) -> MergePolicy:
    try:
        return MergePolicy(declared_values or MergePolicy.INSERT_ONLY)
    except ValueError:
        raise UserError(
            f"Asset {asset}: merge_guard is {declared_values!r}. "
            f"Use one of {', '.join(MergePolicy)}."
        ) from None


def _validate(asset: str, spec: TableSpec) -> None:
    if not spec.key:
        raise UserError(
            f"Asset {asset} has no merge_key in its metadata, so its rows cannot be matched. "
            'Name the columns that make a row unique: metadata={"merge_key": ["ticket_id"]}.'
        )
    if spec.merge_policy is MergePolicy.NEWER_WINS and spec.version is None:
        raise UserError(
            f"Asset {asset}: merge_guard newer_wins needs version_column in the metadata, the "
            "timestamp column by which the newer of two rows wins."
        )
    if spec.merge_policy is MergePolicy.STATUS_TRANSITIONS and not (
        spec.status and spec.transitions
    ):
        raise UserError(
            f"Asset {asset}: merge_guard status_moves needs status_column and status_moves in the "
            'metadata, such as "status" and [["open", "done"]].'
        )
    declared = {column.name for column in spec.columns}
    absent = [name for name in spec.key if declared and name not in declared]
    if absent:
        raise UserError(
            f"Asset {asset}: merge_key names {', '.join(absent)}, which {COLUMN_SCHEMA} lacks. "
            "Add the column or correct the key."
        )
