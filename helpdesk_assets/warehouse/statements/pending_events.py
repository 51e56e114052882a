"""Queries for the webhook events that wait: those without an outcome. Pure text.

What each event brings is read only of those that wait, by a second query: BigQuery bills a column
of every partition that is read, whichever rows are kept, and the tickets are nearly all of an
event's bytes. Hints bring none, so they need one query.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# A vendor sends an event again for a week at most. Its outcome is that of its first arrival.
SENT_AGAIN_WITHIN = timedelta(days=7)


def pending_events(dataset: Dataset, since: datetime) -> Query:
    """Select the events without an outcome, all but what they bring, each once.

    Ticket by ticket, in the order in which their first events arrived. A row of somebody else's
    without its ids is no event: nothing could be fetched for it, nor any outcome be found again.

    Args:
        dataset: where the tables are.
        since: events that arrived before are left out.
    """
    sql = f"""\
SELECT
  E.event_id,
  E.ticket_id,
  E.type,
  E.kind,
  E.modifiedTime,
  E.received_at,
  E.committed_at,
  E.helpdesk
FROM (
  SELECT event_id, ticket_id, type, kind, modifiedTime, received_at, committed_at, helpdesk
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
  WHERE received_at >= @since AND LENGTH(ticket_id) > 0 AND LENGTH(event_id) > 0
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY ticket_id, event_id
    ORDER BY received_at, committed_at
  ) = 1
) AS E
LEFT JOIN (
  SELECT DISTINCT ticket_id, event_id
  FROM {dataset.table(tables.WEBHOOK_OUTCOMES.name)}
  WHERE received_at >= @outcomes_since
) AS O
ON O.ticket_id = E.ticket_id AND O.event_id = E.event_id
WHERE O.event_id IS NULL
ORDER BY
  MIN(E.received_at) OVER (PARTITION BY E.ticket_id),
  E.ticket_id,
  E.received_at,
  E.event_id"""
    return Query(
        sql,
        (
            Parameter("since", ColumnType.TIMESTAMP, since),
            Parameter("outcomes_since", ColumnType.TIMESTAMP, since - SENT_AGAIN_WITHIN),
        ),
    )


def brought_tickets(
    dataset: Dataset, keys: Sequence[tuple[str, str]], first: datetime, last: datetime
) -> Query:
    """Select what these events bring, in the order of `keys`; a doubled event comes twice.

    Args:
        dataset: where the tables are.
        keys: ticket and event id of each.
        first: when the first of them arrived.
        last: when the last of them arrived.
    """
    listed = [
        {"ticket": ticket_id, "event": event_id, "place": place}
        for place, (ticket_id, event_id) in enumerate(keys)
    ]
    sql = f"""\
SELECT K.place, E.ticket
FROM (
  SELECT
    JSON_VALUE(k, '$.ticket') AS ticket_id,
    JSON_VALUE(k, '$.event') AS event_id,
    CAST(JSON_VALUE(k, '$.place') AS INT64) AS place
  FROM UNNEST(JSON_QUERY_ARRAY(@keys)) AS k
) AS K
JOIN {dataset.table(tables.WEBHOOK_EVENTS.name)} AS E
ON E.ticket_id = K.ticket_id AND E.event_id = K.event_id
WHERE E.received_at BETWEEN @first AND @last
  AND E.ticket_id IN UNNEST(@ticket_ids)
ORDER BY K.place"""
    ids = tuple(dict.fromkeys(ticket_id for ticket_id, _ in keys))
    return Query(
        sql,
        (
            Parameter("keys", ColumnType.STRING, json.dumps(listed)),
            Parameter("first", ColumnType.TIMESTAMP, first),
            Parameter("last", ColumnType.TIMESTAMP, last),
            Parameter("ticket_ids", ColumnType.STRING, ids),
        ),
    )
