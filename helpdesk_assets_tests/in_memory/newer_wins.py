"""The guard of NEWER_WINS on rows in memory: the twin of `warehouse.merge.newer_wins`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets.warehouse.merge.newer_wins import READ_AHEAD_MINUTES
from helpdesk_assets.warehouse.table_spec import TableSpec

Row = dict[str, Any]


def inserted_row(spec: TableSpec, row: Row) -> Row:
    """Return the row as it is inserted: a tombstone has no version."""
    new = {column.name: row.get(column.name) for column in spec.columns}
    if spec.tombstone_flag and spec.version and row.get(spec.tombstone_flag):
        new[spec.version] = None
    return new


def newer_update(spec: TableSpec, held: Row, row: Row, *, forced: bool) -> Row:
    """Return what the stored row takes over from a source's row; nothing if the guard keeps it."""
    is_tombstone = bool(spec.tombstone_flag and row.get(spec.tombstone_flag))
    if not is_tombstone and _is_newer(spec, held, row, forced=forced):
        return _content(spec, held, row)
    if spec.deleted_column and (_is_deleted(spec, held, row) or _is_restored(spec, held, row)):
        names = (spec.deleted_column, spec.read_at_column, *spec.stamps)
        return {name: row.get(name) for name in names if name}
    return {}


def _is_newer(spec: TableSpec, held: Row, row: Row, *, forced: bool) -> bool:
    version, mark = str(spec.version), spec.content_hash_column
    ours, theirs = held[version], row[version]
    if ours is None or theirs is None:
        return ours is None
    if ours != theirs or mark is None:
        return bool(ours < theirs)
    differs = held[mark] != row[mark] or (forced and _columns_differ(spec, held, row))
    return differs and _is_later(spec, held, row)


def _columns_differ(spec: TableSpec, held: Row, row: Row) -> bool:
    others = {*spec.key, *spec.write_once, *spec.stamps, spec.deleted_column, spec.read_at_column}
    names = [column.name for column in spec.columns if column.name not in others]
    return any(
        held[name] != row.get(name)
        for name in names
        if name != spec.partition_by or row.get(name) is not None
    )


def _is_later(spec: TableSpec, held: Row, row: Row, *, or_equal: bool = False) -> bool:
    if spec.read_at_column is None or _is_unknown(held[spec.read_at_column]):
        return True
    ours, theirs = held[spec.read_at_column], row.get(spec.read_at_column)
    return theirs is not None and (ours < theirs or (or_equal and ours == theirs))


def _is_deleted(spec: TableSpec, held: Row, row: Row) -> bool:
    """Return whether the source knows a deletion that the stored row does not have."""
    deleted, version = str(spec.deleted_column), str(spec.version)
    if held[deleted] is not None or row[deleted] is None:
        return False
    until = max(row[version], row[deleted])
    is_before = held[version] is not None and until < held[version]
    return not is_before and _is_later(spec, held, row, or_equal=True)


def _is_restored(spec: TableSpec, held: Row, row: Row) -> bool:
    """Return whether the source takes the stored deletion back."""
    deleted = str(spec.deleted_column)
    if held[deleted] is None or row[deleted] is not None:
        return False
    if _second(row[str(spec.version)]) > _second(held[deleted]):
        return True
    read_at, alive_at = spec.read_at_column, spec.alive_at_column
    if read_at is None or alive_at not in row:
        return False
    alive = row[alive_at]
    return _is_unknown(held[read_at]) or (alive is not None and alive > held[read_at])


def _content(spec: TableSpec, held: Row, row: Row) -> Row:
    kept = {*spec.key, *spec.write_once}
    update = {
        column.name: row.get(column.name) for column in spec.columns if column.name not in kept
    }
    if spec.partition_by in update and update[spec.partition_by] is None:
        update[spec.partition_by] = held[spec.partition_by]
    deleted = spec.deleted_column
    stays = deleted and held[deleted] is not None and row.get(deleted) is None
    if stays and not _is_restored(spec, held, row):
        update |= {name: held[name] for name in (deleted, spec.read_at_column) if name}
    return update


def _is_unknown(read_at: datetime | None) -> bool:
    return read_at is None or read_at > datetime.now(UTC) + timedelta(minutes=READ_AHEAD_MINUTES)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)
