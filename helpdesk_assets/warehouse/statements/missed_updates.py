"""The ledger `missed_updates` judged by the events of our receiver, as SQL.

An event is stored when it arrives, so the ledger also shows which changes came late and which
events arrived for a change that polling did not return.

An event delivers a change if it carries that version or a newer one and was committed within the
grace period after the change. A newer version that came later proves nothing about the older
change: otherwise the next webhook of a ticket would hide the lost one. Polling returns only the
newest version of a ticket, so nobody sees a version that was replaced between two runs.

Without our receiver, `missed_by_table` judges instead.
"""

from __future__ import annotations

from datetime import timedelta
from textwrap import indent

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.judging_window import (
    JudgingWindow,
    judging_window,
    unsubscribed_as_sql,
)
from helpdesk_assets.warehouse.statements.missed_by_table import (
    merged_before_parameters,
    missing_from_tickets,
)
from helpdesk_assets.warehouse.table_spec import ColumnType

# Different machines set the times of a deletion and of the event about it.
DELETION_TOLERANCE = timedelta(minutes=10)

# For each version, the commit times of its own event and of any event that delivered it in time.
# An event without a version covers the ticket's changes up to its arrival, and refers to the newest
# of them. For a change already judged, it counts only if it arrived within the grace period.
JUDGED = """\
  SELECT
    V.ticket_id,
    V.modifiedTime,
    MAX(V._content_hash) AS _content_hash,
    LOGICAL_OR(V.is_unsubscribed) AS is_unsubscribed,
    LOGICAL_OR(V.is_tombstone) AS is_tombstone,
    LOGICAL_OR(V.is_open) AS is_open,
    MAX(V.read_at) AS read_at,
    MIN(IF(E.version = V.modifiedTime OR E.version IS NULL OR (V.is_deletion AND E.is_deletion),
      E.committed_at, NULL)) AS own_event_at,
    MIN(IF(TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms,
      E.committed_at, NULL)) AS in_time_at
  FROM versions AS V
  LEFT JOIN events AS E
  ON E.ticket_id = V.ticket_id
    AND (
      E.covers_until >= V.modifiedTime
      OR (V.is_deletion AND E.is_deletion
        AND TIMESTAMP_DIFF(V.modifiedTime, E.covers_until, MILLISECOND) <= @deletion_tolerance_ms)
    )
    AND (
      E.version IS NOT NULL
      OR NOT (V.is_open OR V.was_judged)
      OR (V.was_judged
        AND TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms)
    )
  WHERE V.modifiedTime <= @delivered_by
  GROUP BY V.ticket_id, V.modifiedTime"""


def missed_by_events(dataset: Dataset, manifest: Manifest, judging: Judging) -> Query:
    """Select changes that no event delivered in time, and events that polling missed.

    Judges three sets: (1) versions stored since `window.since`, also by runs that found them
    younger than the grace period, plus one day of slack for runs that stored late and never
    committed; (2) batch rows missing from `tickets` that no earlier run has merged, as far back as
    events are read; (3) open `missed` rows, which a late event may turn into `late`.

    Changes before the first event ever are left out: there was no receiver to send one to.
    Tombstones are judged until `tickets` has the ticket as deleted, since their times may differ
    each time. One that a later reading has shown to be wrong is no change.

    Args:
        dataset: where the tables are.
        manifest: the batch; not that of a load.
        judging: the grace period, and the changes that webhooks are not subscribed to.

    Returns:
        The source of a MERGE into `missed_updates`.
    """
    bounds, policy = judging_window(manifest, judging), judging.policy
    unsubscribed, words = unsubscribed_as_sql("R", policy.unsubscribed)
    missing, missing_parameters = _versions_missing_from_tickets(dataset, manifest, judging, bounds)
    raw = dataset.table(tables.RAW_TICKET_CHANGES.name)
    tickets = dataset.table(tables.TICKETS.name)
    sql = f"""\
WITH {event_tables(dataset)},
events AS (
  SELECT
    ticket_id,
    version,
    IFNULL(version, received_at) AS covers_until,
    is_deletion,
    committed_at
  FROM delivered
),
versions AS (
  SELECT
    R.ticket_id,
    R.modifiedTime,
    R._content_hash,
    {unsubscribed} AS is_unsubscribed,
    R.deletedTime IS NOT NULL AS is_deletion,
    IFNULL(R._tombstone, FALSE) AS is_tombstone,
    FALSE AS is_open,
    R.modifiedTime <= @counted_after AS was_judged,
    R._fetched_at AS read_at
  FROM {raw} AS R
  CROSS JOIN first_event AS F
  WHERE R._fetched_at >= @stored_since
    AND R.modifiedTime > @stored_since
    AND (F.received_at IS NULL OR R.modifiedTime >= F.received_at)
{missing}  UNION ALL
  SELECT O.ticket_id, O.modifiedTime, O._content_hash, FALSE, FALSE, FALSE, TRUE, FALSE,
    CAST(NULL AS TIMESTAMP)
  FROM {dataset.table(tables.MISSED_UPDATES.name)} AS O
  WHERE O.detected_at >= @open_since
    AND O.reason = 'missed'
),
judged AS (
{JUDGED}
)
SELECT
  J.ticket_id,
  J.modifiedTime,
  CASE
    WHEN COALESCE(J.own_event_at, J.in_time_at) IS NOT NULL THEN 'late'
    WHEN J.is_unsubscribed THEN 'not_subscribed'
    ELSE 'missed'
  END AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  GREATEST(0, TIMESTAMP_DIFF(COALESCE(J.own_event_at, J.in_time_at, @detected_at), J.modifiedTime,
    MILLISECOND) / 1000) AS lag_seconds,
  COALESCE(J.own_event_at, J.in_time_at) AS delivered_at,
  J._content_hash,
  @run_id AS _run_id,
  @run_id AS _judged_by
FROM judged AS J
LEFT JOIN {tickets} AS K
ON K.ticket_id = J.ticket_id
WHERE IF(J.is_open, COALESCE(J.own_event_at, J.in_time_at) IS NOT NULL, J.in_time_at IS NULL)
  AND NOT (
    J.is_tombstone
    AND (K.deletedTime IS NOT NULL OR IFNULL(K._read_at > J.read_at, FALSE))
  )"""
    if bounds.settled is not None:
        sql += _events_not_polled(raw, tickets)
    return Query(
        sql,
        (
            *words,
            *missing_parameters,
            *bounds.parameters(),
            Parameter("grace_ms", ColumnType.INT64, _milliseconds(policy.grace)),
            Parameter("deletion_tolerance_ms", ColumnType.INT64, _milliseconds(DELETION_TOLERANCE)),
            Parameter("detected_at", ColumnType.TIMESTAMP, manifest.served_at),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def _versions_missing_from_tickets(
    dataset: Dataset, manifest: Manifest, judging: Judging, bounds: JudgingWindow
) -> tuple[str, tuple[Parameter, ...]]:
    """Select the batch rows that `tickets` lacks, as further versions to judge."""
    if manifest.rows == 0:
        return "", ()
    source = batch(dataset, manifest)
    kinds, _ = unsubscribed_as_sql("S", judging.policy.unsubscribed)
    notice = "S._tombstone" if manifest.may_have_tombstones else "FALSE"
    sql = f"""\
UNION ALL
SELECT
  S.ticket_id,
  S.modifiedTime,
  S._content_hash,
  {kinds} AS is_unsubscribed,
  S.deletedTime IS NOT NULL AS is_deletion,
  {notice} AS is_tombstone,
  FALSE AS is_open,
  FALSE AS was_judged,
  @detected_at AS read_at
FROM (
{indent(source.sql, "  ")}
) AS S
CROSS JOIN first_event AS F
{missing_from_tickets(dataset, manifest)}
  AND (F.received_at IS NULL OR S.modifiedTime >= F.received_at)
"""
    parameters = (*source.parameters, *merged_before_parameters(bounds, judging))
    return indent(sql, "  "), parameters


def _events_not_polled(raw: str, tickets: str) -> str:
    """Select events of versions that no run has received.

    Deletions are left out, since few helpdesks return deleted tickets.
    """
    return f"""
UNION ALL
SELECT
  E.ticket_id,
  E.version,
  'webhook_only' AS reason,
  K.modifiedTime,
  @detected_at,
  TIMESTAMP_DIFF(@detected_at, E.version, MILLISECOND) / 1000,
  E.committed_at,
  CAST(NULL AS STRING),
  @run_id,
  @run_id
FROM events AS E
LEFT JOIN (
  SELECT ticket_id, MAX(modifiedTime) AS newest
  FROM {raw}
  WHERE _fetched_at >= @since
  GROUP BY ticket_id
) AS P
ON P.ticket_id = E.ticket_id
LEFT JOIN {tickets} AS K
ON K.ticket_id = E.ticket_id
WHERE E.version > @since
  AND E.version <= @settled
  AND NOT E.is_deletion
  AND K.deletedTime IS NULL
  AND (P.newest IS NULL OR P.newest < E.version)"""


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
