"""The batch of a run as a source for MERGE, and small queries on tickets and missed updates.

A batch is the ticket versions that one run fetched, as the manifest lists them. A small batch is
read from raw_ticket_changes by its versions, a large one from its staging table. The run id cannot
select it: a version stored by a run that died is not stored again by the next run, and would be
lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.webhooks import MISSED_REASONS
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge.partitions import start_of
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# The helpdesk's clock may have been wrong by as much when a version was stored.
CLOCK_TOLERANCE = timedelta(days=1)
BEGINNING = datetime.min.replace(tzinfo=UTC)


def batch(dataset: Dataset, manifest: Manifest, *, times: Sequence[str] = ()) -> Query:
    """Select the versions of a batch.

    Args:
        dataset: where the tables are.
        manifest: the batch.
        times: further expressions to select; see `tickets_source`.

    Returns:
        The columns of tickets that the helpdesk fills, `_content_hash`, `_seq`, and `_tombstone`
        if the batch may have tombstones.
    """
    names = [*(column.name for column in tables.TICKET_COLUMNS), tables.CONTENT_HASH.name]
    flag = tables.TOMBSTONE.name
    if manifest.staging is not None:
        names += ["_seq", *([flag] if manifest.may_have_tombstones else [])]
        columns = ", ".join([*(f"B.{name}" for name in names), *times])
        return Query(f"SELECT {columns}\nFROM {dataset.table(manifest.staging)} AS B", ())
    columns = ", ".join(f"B.{name}" for name in names)
    if manifest.may_have_tombstones:
        # NULL in rows from before the column was added.
        columns += f", IFNULL(B.{flag}, FALSE) AS {flag}"
    versions = [
        {"id": version.ticket_id, "hash": version.content_hash, "seq": seq}
        for seq, version in enumerate(manifest.versions or ())
    ]
    since = stored_since(manifest)
    # Constants, so that clustering and partitions prune the scan; a join alone does not.
    bound = (
        "" if since is None else "\n  AND (B._fetched_at IS NULL OR B._fetched_at >= @batch_since)"
    )
    bounds = () if since is None else (Parameter("batch_since", ColumnType.TIMESTAMP, since),)
    more = "".join(f", {each}" for each in times)
    sql = f"""\
SELECT {columns}, V._seq{more}
FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS B
JOIN (
  SELECT
    JSON_VALUE(v, '$.id') AS ticket_id,
    JSON_VALUE(v, '$.hash') AS _content_hash,
    CAST(JSON_VALUE(v, '$.seq') AS INT64) AS _seq
  FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@versions, wide_number_mode => 'round'))) AS v
) AS V
ON B.ticket_id = V.ticket_id AND B._content_hash = V._content_hash
WHERE B.ticket_id IN UNNEST(@ticket_ids){bound}"""
    return Query(
        sql,
        (
            Parameter("versions", ColumnType.STRING, json.dumps(versions)),
            Parameter("ticket_ids", ColumnType.STRING, manifest.listed_tickets),
            *bounds,
        ),
    )


def stored_since(manifest: Manifest) -> datetime | None:
    """Return since when versions of the batch can have been stored, None if it is not known.

    A version was not stored before it was written. It may have been stored by an earlier run, which
    may have died since. The MERGE that stores versions and `batch`, which reads them, must agree on
    it: what one looks for, the other finds.
    """
    if manifest.oldest_modified is None:
        return None
    first = min(manifest.oldest_modified, manifest.read_since or manifest.served_at)
    if first - BEGINNING < CLOCK_TOLERANCE:
        return None
    return start_of(first - CLOCK_TOLERANCE, "DAY")


def tickets_source(dataset: Dataset, manifest: Manifest, listing_delay: timedelta) -> Query:
    """Select the batch as rows of tickets, with the warehouse's time.

    Args:
        dataset: where the tables are.
        manifest: the batch.
        listing_delay: how long the helpdesk's lists may show a deleted ticket; see
            `Manifest.is_believed_at_once`.
    """
    source = _with_times(
        dataset, manifest, timedelta(0) if manifest.is_believed_at_once else listing_delay
    )
    if manifest.may_have_tombstones:
        source = _apply_tombstones(source)
    sql = f"""\
SELECT
  S.*,
  CURRENT_TIMESTAMP() AS _synced_at,
  CURRENT_TIMESTAMP() AS _first_synced_at,
  'sync' AS _synced_by,
  @run_id AS _run_id
FROM (
{_indented(source.sql)}
) AS S"""
    run_id = Parameter("run_id", ColumnType.STRING, manifest.run_id)
    return Query(sql, (*source.parameters, run_id))


def _with_times(dataset: Dataset, manifest: Manifest, listing_delay: timedelta) -> Query:
    """Select the batch with `_read_at` and `_alive_at`.

    Rows of raw_ticket_changes say when a version was seen first, so a small batch counts as read
    at its first answer.
    """
    read_at = "@read_since" if manifest.staging is None else "B._fetched_at"
    delay = f"TIMESTAMP_SUB({read_at}, INTERVAL @listing_delay SECOND)"
    times = (f"{read_at} AS {tables.READ_AT.name}", f"{delay} AS {tables.ALIVE_AT.name}")
    source = batch(dataset, manifest, times=times)
    parameters = [
        Parameter("listing_delay", ColumnType.INT64, int(listing_delay.total_seconds())),
    ]
    if manifest.staging is None:
        parameters += [Parameter("read_since", ColumnType.TIMESTAMP, manifest.read_since)]
    return Query(source.sql, (*source.parameters, *parameters))


def _apply_tombstones(source: Query) -> Query:
    """Set the deletion of each tombstone in the full versions of its ticket in the same batch.

    Only one row per ticket is merged: a tombstone stays only where the batch has no full version. A
    tombstone that is older than the version, or than a reading that shows the ticket, says nothing.
    """
    sql = f"""\
SELECT
  S.* REPLACE (
    COALESCE(S.deletedTime, D.deletedTime) AS deletedTime,
    IF(D.ticket_id IS NULL, S._read_at, GREATEST(S._read_at, D._read_at)) AS _read_at
  )
FROM (
{_indented(source.sql)}
) AS S
LEFT JOIN (
  SELECT *
  FROM (
{_indented(source.sql, "    ")}
  )
  WHERE _tombstone
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY ticket_id
    ORDER BY modifiedTime DESC, _seq DESC
  ) = 1
) AS D
ON D.ticket_id = S.ticket_id
  AND NOT S._tombstone
  AND D.modifiedTime >= S.modifiedTime
  AND D._read_at >= S._alive_at
WHERE TRUE
QUALIFY RANK() OVER (PARTITION BY S.ticket_id ORDER BY IF(S._tombstone, 1, 0)) = 1"""
    return Query(sql, source.parameters)


def find_live_tickets(dataset: Dataset, ids: Sequence[str], created_by: datetime) -> Query:
    """Select those of the tickets that have a row not marked deleted.

    Args:
        dataset: where the tables are.
        ids: the tickets.
        created_by: tickets created later are left out.
    """
    sql = f"""\
SELECT ticket_id
FROM {dataset.table(tables.TICKETS.name)}
WHERE ticket_id IN UNNEST(@ticket_ids)
  AND deletedTime IS NULL
  AND (createdTime IS NULL OR createdTime <= @created_by)"""
    return Query(
        sql,
        (
            Parameter("ticket_ids", ColumnType.STRING, tuple(ids)),
            Parameter("created_by", ColumnType.TIMESTAMP, created_by),
        ),
    )


def find_known_tickets(dataset: Dataset, ids: Sequence[str]) -> Query:
    """Select those of the tickets that have a row, deleted or not."""
    sql = f"""\
SELECT DISTINCT ticket_id
FROM {dataset.table(tables.TICKETS.name)}
WHERE ticket_id IN UNNEST(@ticket_ids)"""
    return Query(sql, (Parameter("ticket_ids", ColumnType.STRING, tuple(ids)),))


def newest_stored(dataset: Dataset) -> Query:
    """Select the newest modified time of a tickets table that an older sync has filled.

    Rows in the future, by the warehouse's clock, do not count: one row of 2099 would hide every
    change until then.
    """
    sql = f"""\
SELECT MAX(modifiedTime) AS watermark
FROM {dataset.table(tables.TICKETS.name)}
WHERE modifiedTime <= CURRENT_TIMESTAMP()"""
    return Query(sql, ())


def missed_since(dataset: Dataset, hours: int) -> Query:
    """Count the missed updates recorded in the last hours, as `missed`."""
    sql = f"""\
SELECT COUNT(*) AS missed
FROM {dataset.table(tables.MISSED_UPDATES.name)}
WHERE detected_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @hours HOUR)
  AND reason IN UNNEST(@missed_reasons)"""
    return Query(
        sql,
        (
            Parameter("hours", ColumnType.INT64, hours),
            Parameter("missed_reasons", ColumnType.STRING, MISSED_REASONS),
        ),
    )


def _indented(sql: str, by: str = "  ") -> str:
    return "\n".join(by + line for line in sql.splitlines())
