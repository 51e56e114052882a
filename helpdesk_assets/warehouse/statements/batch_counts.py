"""Counts what became of the tickets of one batch, without reading the whole tickets table."""

from __future__ import annotations

from textwrap import indent

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.table_spec import ColumnType

_NO_BATCH = """\
SELECT 0 AS inserted, 0 AS updated, 0 AS unchanged, 0 AS rejected, 0 AS batch_tickets, 0 AS absent,
  0 AS batch_rows"""
_DIFFERING = """,
  COUNT(DISTINCT IF(
    IFNULL(
      (T.modifiedTime = B.modifiedTime AND T._content_hash = B._content_hash
        AND (T.deletedTime IS NULL) = B.is_alive)
      OR (T.modifiedTime > B.modifiedTime AND T.deletedTime IS NULL AND B.is_alive),
      FALSE
    ),
    NULL,
    B.ticket_id
  )) AS differing"""
_VERSION = """
    MAX(_content_hash) AS _content_hash,
    LOGICAL_AND(deletedTime IS NULL) AS is_alive,"""


def batch_counts_query(dataset: Dataset, manifest: Manifest) -> Query:
    """Count what became of the batch, as one row, without reading the whole table."""
    counted = batch_counts(dataset, manifest)
    run_id = Parameter("run_id", ColumnType.STRING, manifest.run_id)
    return Query(counted.sql, (*counted.parameters, run_id))


def batch_counts(dataset: Dataset, manifest: Manifest, *, is_repeated: bool = False) -> Query:
    """Count what became of the batch's tickets. Needs `@run_id` as well.

    A ticket is absent if the tickets table has an older version of it or none; of a tombstone only
    if it has no row. `batch_rows` are those of a staged batch, else the distinct versions that the
    manifest lists and raw_ticket_changes has: the same version may be stored there with two times.

    Of a repeated batch, which has each ticket once, `differing` counts the tickets that a MERGE
    might write. It leaves a row as it is if that has the same version and is as deleted, or if it
    has a newer one and neither is deleted.
    """
    if manifest.rows == 0:
        return Query(_NO_BATCH)
    source = batch(dataset, manifest)
    ours = "T._run_id = @run_id"
    theirs = "T._run_id IS DISTINCT FROM @run_id"
    flag = tables.TOMBSTONE.name
    content_time = f"IF({flag}, NULL, modifiedTime)"
    if not manifest.may_have_tombstones:
        content_time = "modifiedTime"
    rows = "DISTINCT _seq" if manifest.staging is None else "*"
    # A list of constants lets BigQuery skip clustered blocks, a join does not.
    ids = manifest.listed_tickets
    listed = "\n  AND T.ticket_id IN UNNEST(@ticket_ids)" if ids else ""
    # A small batch that is not staged names them already.
    is_named = not ids or manifest.staging is None
    differing, more = (_DIFFERING, _VERSION) if is_repeated else ("", "")
    constants = () if is_named else (Parameter("ticket_ids", ColumnType.STRING, ids),)
    sql = f"""\
SELECT
  COUNTIF({ours} AND T._first_synced_at = T._synced_at) AS inserted,
  COUNTIF({ours} AND T._first_synced_at IS DISTINCT FROM T._synced_at) AS updated,
  COUNTIF({theirs} AND T.ticket_id IS NOT NULL
    AND IFNULL(T.modifiedTime <= B.modifiedTime, TRUE)) AS unchanged,
  COUNTIF({theirs} AND T.modifiedTime > B.modifiedTime) AS rejected,
  COUNT(DISTINCT B.ticket_id) AS batch_tickets,
  COUNT(DISTINCT B.ticket_id) - COUNT(DISTINCT IF(
    T.modifiedTime >= B.content_time OR (B.content_time IS NULL AND T.ticket_id IS NOT NULL),
    B.ticket_id,
    NULL
  )) AS absent,
  IFNULL(MAX(B.batch_rows), 0) AS batch_rows{differing}
FROM (
  SELECT
    ticket_id,
    MAX(modifiedTime) AS modifiedTime,
    MAX({content_time}) AS content_time,{more}
    SUM(COUNT({rows})) OVER () AS batch_rows
  FROM (
{indent(source.sql, "    ")}
  )
  GROUP BY ticket_id
) AS B
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS T
ON T.ticket_id = B.ticket_id{listed}"""
    return Query(sql, (*source.parameters, *constants))
