"""The webhook events that delivered something, each once, as SQL for what judges by events.

An event is delivered when it is appended, so one that still waits counts. One that turned out to be
about no ticket, or about one that cannot be stored, does not: the table never got what it told of.
"""

from __future__ import annotations

from datetime import timedelta
from textwrap import indent

from helpdesk_assets.model.webhook_events import Outcome
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset

# The version that a hint brought is the one that was fetched for it, unless that was much later:
# the ticket may have changed again by then.
FETCHED_WITHIN = timedelta(seconds=60)
# Some vendors date the event and not the version. So close to each other, both are one change.
SAME_CHANGE_WITHIN = timedelta(seconds=5)


def delivered_events(dataset: Dataset) -> str:
    """Select the events that arrived since `@reads_from`.

    `version` is NULL if neither the event nor a fetch soon after it says which version it is about.
    """
    within, same = (
        length // timedelta(milliseconds=1) for length in (FETCHED_WITHIN, SAME_CHANGE_WITHIN)
    )
    return f"""\
SELECT
  E.ticket_id,
  CASE
    WHEN E.modifiedTime IS NULL THEN IF(
      TIMESTAMP_DIFF(O.modifiedTime, E.received_at, MILLISECOND) <= {within},
      O.modifiedTime,
      NULL
    )
    WHEN ABS(TIMESTAMP_DIFF(O.modifiedTime, E.modifiedTime, MILLISECOND)) <= {same}
      THEN O.modifiedTime
    ELSE E.modifiedTime
  END AS version,
  E.is_deletion,
  E.received_at,
  E.committed_at
FROM (
  SELECT
    ticket_id,
    event_id,
    MIN(modifiedTime) AS modifiedTime,
    LOGICAL_OR(IFNULL(deleted, FALSE)) AS is_deletion,
    MIN(received_at) AS received_at,
    MIN(committed_at) AS committed_at
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
  WHERE received_at >= @reads_from
  GROUP BY ticket_id, event_id
) AS E
LEFT JOIN (
  SELECT
    ticket_id,
    event_id,
    MIN(modifiedTime) AS modifiedTime,
    LOGICAL_OR(outcome = '{Outcome.MERGED}') AS is_merged
  FROM {dataset.table(tables.WEBHOOK_OUTCOMES.name)}
  WHERE received_at >= @reads_from
  GROUP BY ticket_id, event_id
) AS O
ON O.ticket_id = E.ticket_id AND O.event_id = E.event_id
WHERE IFNULL(O.is_merged, TRUE)"""


def event_tables(dataset: Dataset) -> str:
    """Return the common table expressions `delivered` and `first_event`.

    Changes before the first event ever are nobody's: there was no receiver to send one to. Of the
    time before `@reads_from` only that matters, so no outcome is read there.
    """
    return f"""\
delivered AS (
{indent(delivered_events(dataset), "  ")}
),
first_event AS (
  SELECT
    IF(MIN(A.received_at) < @reads_from, MIN(A.received_at), MIN(D.received_at)) AS received_at
  FROM (
    SELECT MIN(received_at) AS received_at
    FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
  ) AS A
  CROSS JOIN (
    SELECT MIN(received_at) AS received_at
    FROM delivered
  ) AS D
)"""
