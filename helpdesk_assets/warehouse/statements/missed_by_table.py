"""The ledger `missed_updates` judged by the tickets table alone, as SQL.

For a tickets table that another system's webhook function writes: a change that the table lacks
was not delivered.
"""

from __future__ import annotations

from textwrap import indent

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.statements.judging_window import unsubscribed_as_sql
from helpdesk_assets.warehouse.table_spec import ColumnType


def missed_by_table(dataset: Dataset, manifest: Manifest, policy: WebhookPolicy) -> Query:
    """Select the batch's changes that are older than the grace period and not in `tickets`.

    Must run before the batch is merged into `tickets`: afterwards nothing looks missed. On a first
    load every ticket is absent and no webhook is to blame, so only stale tickets count. A tombstone
    of a ticket already marked deleted is not a change.

    Args:
        dataset: where the tables are.
        manifest: the batch.
        policy: the grace period, and the changes that webhooks are not subscribed to.

    Returns:
        The source of a MERGE into `missed_updates`.
    """
    source = batch(dataset, manifest)
    unsubscribed, words = unsubscribed_as_sql("S", policy.unsubscribed)
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
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS K
ON K.ticket_id = S.ticket_id
WHERE S.modifiedTime <= @delivered_by
  AND {missing_from_tickets(manifest)}"""
    return Query(
        sql,
        (
            *source.parameters,
            *words,
            Parameter("detected_at", ColumnType.TIMESTAMP, manifest.served_at),
            Parameter("delivered_by", ColumnType.TIMESTAMP, manifest.served_at - policy.grace),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def missing_from_tickets(manifest: Manifest) -> str:
    """Return the condition that a version `S` is newer than its row `K` of `tickets`."""
    absent = "" if manifest.first_load else "K.ticket_id IS NULL OR "
    # Helpdesks report a deletion again and again, some with a different time each time.
    known = (
        "\n  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)"
        if manifest.may_have_tombstones
        else ""
    )
    return f"({absent}K.modifiedTime < S.modifiedTime){known}"
