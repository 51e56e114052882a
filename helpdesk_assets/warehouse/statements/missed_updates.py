"""What the ledger `missed_updates` is told: which changes no webhook delivered in time, as SQL.

Two sources, both for one MERGE. By the tickets table alone, where somebody else's webhook function
writes it: what the table lacks was not delivered. By the events of our receiver, each of which is
stored once its ticket is: then it can be told as well what came late, and what came although
polling did not return it.

An event delivers a change if it brings that version or a newer one and was committed within the
grace after the change. A newer version that came later proves nothing about the older change:
otherwise the next webhook of a ticket would hide the one that was lost. Polling gives the newest
version of a ticket only, so a version that was replaced between two runs is in nobody's sight.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from textwrap import indent

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.webhooks import Unsubscribed, WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.statements.judging_window import (
    JudgingWindow,
    judging_window,
    unsubscribed_as_sql,
)
from helpdesk_assets.warehouse.table_spec import ColumnType

# The notice of a deletion and the deletion itself are stamped by different machines.
DELETION_TOLERANCE = timedelta(minutes=10)


# What came of each version: its own event, and any that delivered it in time. An event without a
# version is about the newest change before it, so for one that was to be judged before it must have
# come in time.
JUDGED = """\
  SELECT
    V.ticket_id,
    V.modifiedTime,
    MAX(V._content_hash) AS _content_hash,
    LOGICAL_OR(V.left_out) AS left_out,
    LOGICAL_OR(V.is_notice) AS is_notice,
    LOGICAL_OR(V.is_open) AS is_open,
    MIN(IF(E.version = V.modifiedTime OR E.version IS NULL OR (V.is_end AND E.is_end),
      E.committed_at, NULL)) AS own_at,
    MIN(IF(TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms,
      E.committed_at, NULL)) AS in_time_at
  FROM versions AS V
  LEFT JOIN events AS E
  ON E.ticket_id = V.ticket_id
    AND (
      E.brings >= V.modifiedTime
      OR (V.is_end AND E.is_end
        AND TIMESTAMP_DIFF(V.modifiedTime, E.brings, MILLISECOND) <= @deletion_tolerance_ms)
    )
    AND (
      E.version IS NOT NULL
      OR NOT (V.is_open OR V.is_past)
      OR (V.is_past AND TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms)
    )
  WHERE V.modifiedTime <= @delivered_by
  GROUP BY V.ticket_id, V.modifiedTime"""


def by_table(dataset: Dataset, manifest: Manifest, policy: WebhookPolicy) -> Query:
    """Changes of the batch older than the grace that the tickets table does not have.

    Must run before the batch is merged into tickets: afterwards nothing looks missed. On the first
    load every ticket is absent and no webhook is to blame, so only stale ones count there. A notice
    that a ticket has gone says nothing new of one that is known to have gone.
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
  AND {_is_missing(manifest)}"""
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


def by_events(dataset: Dataset, manifest: Manifest, policy: WebhookPolicy) -> Query:
    """Changes that our receiver's events did not deliver in time, and events that polling missed.

    Judged are the versions that polling has stored since the window's beginning, also by runs that
    found them too young, and for a day before it, for a run that was held up may have stored one
    after its time and closed nothing; what the batch has and the tickets table lacks, however old;
    and the rows called missed, for which the event may have come. Changes before the first event
    ever are not judged by their time, for there was nobody to send it to. Notices that a ticket has
    gone are judged while the tickets table does not know it, since their times may differ each
    time.
    """
    bounds = judging_window(manifest, policy)
    unsubscribed, words = unsubscribed_as_sql("R", policy.unsubscribed)
    lacking, lacking_parameters = _missing_from_tickets(dataset, manifest, policy.unsubscribed)
    raw = dataset.table(tables.RAW_TICKET_CHANGES.name)
    tickets = dataset.table(tables.TICKETS.name)
    sql = f"""\
WITH events AS (
{_events(dataset)}
),
listening AS (
  SELECT MIN(received_at) AS since
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
),
versions AS (
  SELECT
    R.ticket_id,
    R.modifiedTime,
    R._content_hash,
    {unsubscribed} AS left_out,
    R.deletedTime IS NOT NULL AS is_end,
    IFNULL(R._tombstone, FALSE) AS is_notice,
    FALSE AS is_open,
    R.modifiedTime <= @counted_after AS is_past
  FROM {raw} AS R
  CROSS JOIN listening AS L
  WHERE R._fetched_at >= @stored_since
    AND R.modifiedTime > @stored_since
    AND (L.since IS NULL OR R.modifiedTime >= L.since)
{lacking}  UNION ALL
  SELECT O.ticket_id, O.modifiedTime, O._content_hash, FALSE, FALSE, FALSE, TRUE, FALSE
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
    WHEN COALESCE(J.own_at, J.in_time_at) IS NOT NULL THEN 'late'
    WHEN J.left_out THEN 'not_subscribed'
    ELSE 'missed'
  END AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  GREATEST(0, TIMESTAMP_DIFF(COALESCE(J.own_at, J.in_time_at, @detected_at), J.modifiedTime,
    MILLISECOND) / 1000) AS lag_seconds,
  COALESCE(J.own_at, J.in_time_at) AS delivered_at,
  J._content_hash,
  @run_id AS _run_id,
  @run_id AS _judged_by
FROM judged AS J
LEFT JOIN {tickets} AS K
ON K.ticket_id = J.ticket_id
WHERE IF(J.is_open, COALESCE(J.own_at, J.in_time_at) IS NOT NULL, J.in_time_at IS NULL)
  AND NOT (J.is_notice AND K.deletedTime IS NOT NULL)"""
    if bounds.settled is not None:
        sql += _events_not_polled(raw, tickets)
    return Query(
        sql,
        (
            *words,
            *lacking_parameters,
            *_bound_parameters(bounds),
            Parameter("grace_ms", ColumnType.INT64, _milliseconds(policy.grace)),
            Parameter("deletion_tolerance_ms", ColumnType.INT64, _milliseconds(DELETION_TOLERANCE)),
            Parameter("detected_at", ColumnType.TIMESTAMP, manifest.served_at),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def _events(dataset: Dataset) -> str:
    """An event without a version speaks of the ticket as it was when it came."""
    return f"""\
  SELECT
    ticket_id,
    modifiedTime AS version,
    IFNULL(modifiedTime, received_at) AS brings,
    IFNULL(deleted, FALSE) AS is_end,
    committed_at
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
  WHERE received_at >= @reads_from"""


def _is_missing(manifest: Manifest) -> str:
    absent = "" if manifest.first_load else "K.ticket_id IS NULL OR "
    # That a ticket has gone is told again and again, by some helpdesks at another time each time.
    known = (
        "\n  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)"
        if manifest.may_have_tombstones
        else ""
    )
    return f"({absent}K.modifiedTime < S.modifiedTime){known}"


def _missing_from_tickets(
    dataset: Dataset, manifest: Manifest, unsubscribed: Iterable[Unsubscribed]
) -> tuple[str, tuple[Parameter, ...]]:
    """What the batch has and the tickets table lacks, as further versions to judge."""
    if manifest.rows == 0:
        return "", ()
    source = batch(dataset, manifest)
    kinds, _ = unsubscribed_as_sql("S", unsubscribed)
    notice = "S._tombstone" if manifest.may_have_tombstones else "FALSE"
    sql = f"""\
UNION ALL
SELECT
  S.ticket_id,
  S.modifiedTime,
  S._content_hash,
  {kinds} AS left_out,
  S.deletedTime IS NOT NULL AS is_end,
  {notice} AS is_notice,
  FALSE AS is_open,
  FALSE AS is_past
FROM (
{indent(source.sql, "  ")}
) AS S
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS K
ON K.ticket_id = S.ticket_id
WHERE {_is_missing(manifest)}
"""
    return indent(sql, "  "), source.parameters


def _events_not_polled(raw: str, tickets: str) -> str:
    """Events of versions that no run has been given. Deletions are not among them: few helpdesks
    return what is gone."""
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
  AND NOT E.is_end
  AND K.deletedTime IS NULL
  AND (P.newest IS NULL OR P.newest < E.version)"""


def _bound_parameters(bounds: JudgingWindow) -> tuple[Parameter, ...]:
    named = {
        "stored_since": bounds.stored_since,
        "counted_after": bounds.counted_after,
        "delivered_by": bounds.delivered_by,
        "open_since": bounds.open_since,
        "reads_from": bounds.reads_from,
    }
    if bounds.settled is not None:
        named |= {"since": bounds.since, "settled": bounds.settled}
    return tuple(Parameter(name, ColumnType.TIMESTAMP, at) for name, at in named.items())


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
