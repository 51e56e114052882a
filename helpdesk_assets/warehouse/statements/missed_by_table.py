"""The ledger `missed_updates` judged by the tickets table alone, as SQL.

For a tickets table that another system's webhook function writes: a change that the table lacks
was not delivered.
"""

from __future__ import annotations

from textwrap import indent

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.statements.judging_window import (
    JudgingWindow,
    judging_window,
    unsubscribed_as_sql,
)
from helpdesk_assets.warehouse.table_spec import ColumnType


def missed_by_table(dataset: Dataset, manifest: Manifest, judging: Judging) -> Query:
    """Select the batch's changes that are older than the grace period and not in `tickets`.

    Must run before the batch is merged into `tickets`: afterwards nothing looks missed. A tombstone
    of a ticket already marked deleted is not a change.

    Args:
        dataset: where the tables are.
        manifest: the batch; not that of a load.
        judging: the grace period, and the changes that webhooks are not subscribed to.

    Returns:
        The source of a MERGE into `missed_updates`.
    """
    source = batch(dataset, manifest)
    bounds = judging_window(manifest, judging)
    unsubscribed, words = unsubscribed_as_sql("S", judging.policy.unsubscribed)
    sql = f"""\
SELECT
  S.ticket_id,
  S.modifiedTime,
  CASE
    WHEN {unsubscribed} THEN 'not_subscribed'
    WHEN K.ticket_id IS NULL THEN 'missing'
    ELSE 'stale'
  END AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  TIMESTAMP_DIFF(@detected_at, S.modifiedTime, MILLISECOND) / 1000 AS lag_seconds,
  CAST(NULL AS TIMESTAMP) AS delivered_at,
  S._content_hash,
  @run_id AS _run_id,
  @run_id AS _judged_by
FROM (
{indent(source.sql, "  ")}
) AS S
{missing_from_tickets(dataset, manifest)}
  AND S.modifiedTime <= @delivered_by"""
    return Query(
        sql,
        (
            *source.parameters,
            *words,
            *merged_before_parameters(bounds, judging),
            Parameter("reads_from", ColumnType.TIMESTAMP, bounds.reads_from),
            Parameter("detected_at", ColumnType.TIMESTAMP, manifest.served_at),
            Parameter("delivered_by", ColumnType.TIMESTAMP, bounds.delivered_by),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def missing_from_tickets(dataset: Dataset, manifest: Manifest) -> str:
    """Return joins and conditions that a version `S` is newer than its row `K` of `tickets`.

    A version that an earlier run has merged is missing since somebody deleted or replaced its row,
    and no webhook is to blame. That is known as far back as versions are read.
    """
    # Helpdesks report a deletion again and again, some with a different time each time.
    known = (
        "\n  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)"
        if manifest.may_have_tombstones
        else ""
    )
    return f"""\
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS K
ON K.ticket_id = S.ticket_id
LEFT JOIN (
  SELECT ticket_id, MAX(modifiedTime) AS newest
  FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)}
  WHERE _fetched_at >= @reads_from
    AND (_fetched_at < @merged_until OR _run_id IN UNNEST(@closed_runs))
  GROUP BY ticket_id
) AS M
ON M.ticket_id = S.ticket_id
WHERE (K.ticket_id IS NULL OR K.modifiedTime < S.modifiedTime){known}
  AND S.modifiedTime > @reads_from
  AND (M.newest IS NULL OR M.newest < S.modifiedTime)"""


def merged_before_parameters(bounds: JudgingWindow, judging: Judging) -> tuple[Parameter, ...]:
    """Return the parameters that `missing_from_tickets` names, but for `reads_from`."""
    merged_until = bounds.merged_until or bounds.reads_from
    return (
        Parameter("merged_until", ColumnType.TIMESTAMP, merged_until),
        Parameter("closed_runs", ColumnType.STRING, judging.closed_runs),
    )
