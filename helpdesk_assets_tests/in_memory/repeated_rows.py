"""Rows beyond the first of their key: counted and removed as the statements do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RepeatedRows, RunCounts
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements.repeated_rows import (
    COUNTED_TABLES,
    NO_WRITER,
    CountedTable,
    counted_since,
)
from helpdesk_assets.warehouse.stores.repeated_rows import MAX_NAMED_WRITERS
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset, key_of
from helpdesk_assets_tests.in_memory.newer_wins import Row

NEVER = datetime.min.replace(tzinfo=UTC)


def count_repeated(dataset: InMemoryDataset, manifest: Manifest) -> dict[str, int]:
    """Count by field of `RunCounts`."""
    return {
        each.counted_as: sum(len(rows) - 1 for rows in _by_key(dataset, each, manifest))
        for each in COUNTED_TABLES
    }


def remove_repeated(
    dataset: InMemoryDataset, manifest: Manifest, counts: RunCounts
) -> tuple[RepeatedRows, ...]:
    """Keep one row of each key in every table of which the run counted repeated keys."""
    outcomes = []
    for counted in COUNTED_TABLES:
        found = int(getattr(counts, counted.counted_as))
        if not found:
            continue
        spec, doubled = counted.spec, _by_key(dataset, counted, manifest)
        removed = {id(row): row for rows in doubled for row in rows}
        others = [row for row in dataset.rows(spec) if id(row) not in removed]
        writers = {_writer(spec, row) for row in removed.values()}
        dataset.replace_rows(spec, [*others, *(_kept(spec, rows) for rows in doubled)])
        outcomes.append(
            RepeatedRows(
                spec.name,
                found,
                len(removed) - len(doubled),
                tuple(sorted(writers)[:MAX_NAMED_WRITERS]),
            )
        )
    return tuple(outcomes)


def _by_key(dataset: InMemoryDataset, counted: CountedTable, manifest: Manifest) -> list[list[Row]]:
    spec, since = counted.spec, counted_since(manifest)
    rows = dataset.rows(spec)
    if counted.since_column is not None:
        rows = [row for row in rows if row[counted.since_column] >= since]
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        by_key.setdefault(key_of(spec, row), []).append(row)
    return [some for some in by_key.values() if len(some) > 1]


def _kept(spec: TableSpec, rows: list[Row]) -> Row:
    if spec is not tables.TICKETS:
        first = ("detected_at", "reason")
        if spec is tables.RAW_TICKET_CHANGES:
            first = ("_fetched_at", "_seq")
        return min(rows, key=lambda row: [row[name] for name in first])
    order = ("modifiedTime", "deletedTime", "_synced_at")
    newest = max(rows, key=lambda row: [row[name] or NEVER for name in order])
    return newest | {
        "deletedTime": newest["deletedTime"] or _deletion_after(newest, rows),
        "_read_at": max((row["_read_at"] for row in rows if row["_read_at"]), default=None),
        "_first_synced_at": min(row["_first_synced_at"] for row in rows),
    }


def _deletion_after(newest: Row, rows: list[Row]) -> Any:
    deleted = max((row["deletedTime"] or NEVER for row in rows), default=NEVER)
    modified = newest["modifiedTime"]
    return deleted if modified is not None and deleted >= modified else None


def _writer(spec: TableSpec, row: Row) -> str:
    if row["_run_id"] is None:
        return NO_WRITER
    by = f"{row['_synced_by']} " if spec is tables.TICKETS else ""
    return f"{by}run {row['_run_id']}"
