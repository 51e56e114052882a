"""The project's own questions to the warehouse, as pure text with parameters.

Each function returns the source of a MERGE (see `sql.merge_statement`) or a SELECT. What they have
in common is the batch: the ticket versions that one run fetched, told by the manifest. A small
batch is found in raw_ticket_changes by its versions; a large one in its staging table. Looking in
raw_ticket_changes by run id would not do: a version that a run stored before it died is not stored
again by the next run, and would be forgotten.
"""

from __future__ import annotations

import json
from datetime import timedelta

from helpdesk_assets import tables
from helpdesk_assets.model import ColumnType, Manifest
from helpdesk_assets.warehouse.sql import Dataset, Parameter, Query

# Rows may be stamped while a run is under way, and two servers of one helpdesk may differ a little.
FUTURE_TOLERANCE = timedelta(minutes=15)
MISSED_SAMPLE = 100


def batch(dataset: Dataset, manifest: Manifest) -> Query:
    """The versions of a batch: the columns of tickets that the helpdesk gives, `_seq`, and where
    there are tombstones `_tombstone`."""
    names = [*(column.name for column in tables.TICKET_COLUMNS), tables.CONTENT_HASH.name]
    flag = tables.TOMBSTONE.name
    if manifest.staging is not None:
        names += ["_seq", *([flag] if manifest.may_have_tombstones else [])]
        columns = ", ".join(f"B.{name}" for name in names)
        return Query(f"SELECT {columns}\nFROM {dataset.table(manifest.staging)} AS B", ())
    columns = ", ".join(f"B.{name}" for name in names)
    if manifest.may_have_tombstones:
        # Rows of a table that is older than the column have nothing there.
        columns += f", IFNULL(B.{flag}, FALSE) AS {flag}"
    versions = [
        {"id": version.ticket_id, "hash": version.content_hash, "seq": seq}
        for seq, version in enumerate(manifest.versions or ())
    ]
    # The ids stand in a constant list too, so that clustering on ticket_id prunes the scan; a join
    # alone would not.
    ids = tuple(dict.fromkeys(version.ticket_id for version in manifest.versions or ()))
    sql = f"""\
SELECT {columns}, V._seq
FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS B
JOIN (
  SELECT
    JSON_VALUE(v, '$.id') AS ticket_id,
    JSON_VALUE(v, '$.hash') AS _content_hash,
    CAST(JSON_VALUE(v, '$.seq') AS INT64) AS _seq
  FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@versions))) AS v
) AS V
ON B.ticket_id = V.ticket_id AND B._content_hash = V._content_hash
WHERE B.ticket_id IN UNNEST(@ticket_ids)"""
    return Query(
        sql,
        (
            Parameter("versions", ColumnType.STRING, json.dumps(versions)),
            Parameter("ticket_ids", ColumnType.STRING, ids),
        ),
    )


def missed_source(dataset: Dataset, manifest: Manifest, grace: timedelta) -> Query:
    """Changes of the batch older than the grace that the tickets table does not have.

    Must run before the batch is merged into tickets: afterwards nothing looks missed. On the first
    load every ticket is absent and no webhook is to blame, so only stale ones count there.
    """
    source = batch(dataset, manifest)
    absent = "" if manifest.first_load else "K.ticket_id IS NULL OR "
    # That a ticket has gone is told again and again, by some helpdesks at another time each time.
    known = (
        "\n  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)"
        if manifest.may_have_tombstones
        else ""
    )
    sql = f"""\
SELECT
  S.ticket_id,
  S.modifiedTime,
  IF(K.ticket_id IS NULL, 'missing', 'stale') AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  TIMESTAMP_DIFF(@detected_at, S.modifiedTime, MILLISECOND) / 1000 AS lag_seconds,
  S._content_hash,
  @run_id AS _run_id
FROM (
{_indented(source.sql)}
) AS S
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS K
ON K.ticket_id = S.ticket_id
WHERE S.modifiedTime <= @delivered_by
  AND ({absent}K.modifiedTime < S.modifiedTime){known}"""
    return Query(
        sql,
        (
            *source.parameters,
            Parameter("detected_at", ColumnType.TIMESTAMP, manifest.served_at),
            Parameter("delivered_by", ColumnType.TIMESTAMP, manifest.served_at - grace),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def tickets_source(dataset: Dataset, manifest: Manifest) -> Query:
    """The batch as rows of tickets, stamped by the warehouse's clock."""
    source = batch(dataset, manifest)
    if manifest.may_have_tombstones:
        source = _with_what_is_known(source)
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


def _with_what_is_known(source: Query) -> Query:
    """The batch with each tombstone filled from the newest whole version of its ticket in the same
    batch: one row per ticket is merged, and what the older row tells would be lost with it."""
    names = (*tables.TICKETS.partial_keeps, "createdTime")
    kept = ",\n".join(f"  IF(S._tombstone, W.{name}, S.{name}) AS {name}" for name in names)
    sql = f"""\
SELECT
  S.* REPLACE (
{_indented(kept)},
    S._tombstone AND W.ticket_id IS NULL AS _tombstone
  )
FROM (
{_indented(source.sql)}
) AS S
LEFT JOIN (
  SELECT *
  FROM (
{_indented(source.sql, "    ")}
  )
  WHERE NOT _tombstone
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY ticket_id
    ORDER BY modifiedTime DESC, _seq DESC
  ) = 1
) AS W
ON W.ticket_id = S.ticket_id"""
    return Query(sql, source.parameters)


def facts(dataset: Dataset, manifest: Manifest) -> Query:
    """One row, one column `facts`: JSON text of what a `RunFacts` holds, times as microseconds."""
    counts, parameters = _batch_counts(dataset, manifest)
    tickets = dataset.table(tables.TICKETS.name)
    missed = dataset.table(tables.MISSED_UPDATES.name)
    sql = f"""\
SELECT TO_JSON_STRING(STRUCT(
  W.row_count AS row_count,
  W.repeated_keys AS repeated_keys,
  W.null_keys AS null_keys,
  W.null_times AS null_times,
  W.future_times AS future_times,
  C.inserted AS inserted,
  C.updated AS updated,
  C.unchanged AS unchanged,
  C.rejected AS rejected,
  M.missed_total AS missed_total,
  M.missed AS missed
)) AS facts
FROM (
  SELECT
    COUNT(*) AS row_count,
    COUNT(ticket_id) - COUNT(DISTINCT ticket_id) AS repeated_keys,
    COUNTIF(ticket_id IS NULL) AS null_keys,
    COUNTIF(modifiedTime IS NULL) AS null_times,
    COUNTIF(modifiedTime > @future_after) AS future_times
  FROM {tickets}
) AS W
CROSS JOIN (
{_indented(counts)}
) AS C
CROSS JOIN (
  SELECT
    COUNT(*) AS missed_total,
    ARRAY_AGG(
      STRUCT(
        ticket_id AS ticket_id,
        UNIX_MICROS(modifiedTime) AS modified_time,
        reason AS reason,
        lag_seconds AS lag_seconds
      )
      ORDER BY lag_seconds DESC, ticket_id LIMIT {MISSED_SAMPLE}
    ) AS missed
  FROM {missed}
  WHERE _run_id = @run_id
) AS M"""
    return Query(
        sql,
        (
            *parameters,
            Parameter("future_after", ColumnType.TIMESTAMP, manifest.served_at + FUTURE_TOLERANCE),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def _batch_counts(dataset: Dataset, manifest: Manifest) -> tuple[str, tuple[Parameter, ...]]:
    if manifest.rows == 0:
        return "SELECT 0 AS inserted, 0 AS updated, 0 AS unchanged, 0 AS rejected", ()
    source = batch(dataset, manifest)
    ours = "T._run_id = @run_id"
    theirs = "T._run_id IS DISTINCT FROM @run_id"
    sql = f"""\
SELECT
  COUNTIF({ours} AND T._first_synced_at = T._synced_at) AS inserted,
  COUNTIF({ours} AND T._first_synced_at IS DISTINCT FROM T._synced_at) AS updated,
  COUNTIF({theirs} AND T.modifiedTime <= B.modifiedTime) AS unchanged,
  COUNTIF({theirs} AND T.modifiedTime > B.modifiedTime) AS rejected
FROM (
  SELECT ticket_id, MAX(modifiedTime) AS modifiedTime
  FROM (
{_indented(source.sql, "    ")}
  )
  GROUP BY ticket_id
) AS B
JOIN {dataset.table(tables.TICKETS.name)} AS T
ON T.ticket_id = B.ticket_id"""
    return sql, source.parameters


def newest_stored(dataset: Dataset) -> Query:
    """The newest modified time of a tickets table that an older sync has filled.

    Rows dated in the future, by the warehouse's clock, do not count: one row of 2099 would hide
    every change until then.
    """
    sql = f"""\
SELECT MAX(modifiedTime) AS watermark
FROM {dataset.table(tables.TICKETS.name)}
WHERE modifiedTime <= CURRENT_TIMESTAMP()"""
    return Query(sql, ())


def missed_since(dataset: Dataset, hours: int) -> Query:
    """How many missed updates were recorded in the last hours, as `missed`."""
    sql = f"""\
SELECT COUNT(*) AS missed
FROM {dataset.table(tables.MISSED_UPDATES.name)}
WHERE detected_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @hours HOUR)"""
    return Query(sql, (Parameter("hours", ColumnType.INT64, hours),))


def _indented(sql: str, by: str = "  ") -> str:
    return "\n".join(by + line for line in sql.splitlines())
