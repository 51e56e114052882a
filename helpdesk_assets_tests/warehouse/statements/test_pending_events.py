"""The queries for waiting events as whole texts; `contract/test_webhook_inbox` has the cases."""

from __future__ import annotations

import json
from datetime import timedelta

from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.pending_events import brought_tickets, pending_events
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, sql, values


def test_waiting_events_are_found_without_what_they_bring() -> None:
    query = pending_events(DATASET, NOON)
    assert query.sql == sql(
        """
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
          FROM `acme.desk.webhook_events`
          WHERE received_at >= @since AND LENGTH(ticket_id) > 0 AND LENGTH(event_id) > 0
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY ticket_id, event_id
            ORDER BY received_at, committed_at
          ) = 1
        ) AS E
        LEFT JOIN (
          SELECT DISTINCT ticket_id, event_id
          FROM `acme.desk.webhook_outcomes`
          WHERE received_at >= @outcomes_since
        ) AS O
        ON O.ticket_id = E.ticket_id AND O.event_id = E.event_id
        WHERE O.event_id IS NULL
        ORDER BY
          MIN(E.received_at) OVER (PARTITION BY E.ticket_id),
          E.ticket_id,
          E.received_at,
          E.event_id
        """
    )
    assert values(query) == {"since": NOON, "outcomes_since": NOON - timedelta(days=7)}


def test_what_they_bring_is_read_of_few_partitions() -> None:
    query = brought_tickets(DATASET, [("1", "b"), ("2", "a"), ("1", "c")], NOON, NOON)
    assert query.sql == sql(
        """
        SELECT K.place, E.ticket
        FROM (
          SELECT
            JSON_VALUE(k, '$.ticket') AS ticket_id,
            JSON_VALUE(k, '$.event') AS event_id,
            CAST(JSON_VALUE(k, '$.place') AS INT64) AS place
          FROM UNNEST(JSON_QUERY_ARRAY(@keys)) AS k
        ) AS K
        JOIN `acme.desk.webhook_events` AS E
        ON E.ticket_id = K.ticket_id AND E.event_id = K.event_id
        WHERE E.received_at BETWEEN @first AND @last
          AND E.ticket_id IN UNNEST(@ticket_ids)
        ORDER BY K.place
        """
    )
    found = values(query)
    assert json.loads(str(found["keys"])) == [
        {"ticket": "1", "event": "b", "place": 0},
        {"ticket": "2", "event": "a", "place": 1},
        {"ticket": "1", "event": "c", "place": 2},
    ]
    assert (found["ticket_ids"], found["first"], found["last"]) == (("1", "2"), NOON, NOON)


def test_delivered_events_are_those_not_refused() -> None:
    assert event_tables(DATASET) == sql(
        """
        delivered AS (
          SELECT
            E.ticket_id,
            CASE
              WHEN E.modifiedTime IS NULL THEN IF(
                TIMESTAMP_DIFF(O.modifiedTime, E.received_at, MILLISECOND) <= 60000,
                O.modifiedTime,
                NULL
              )
              WHEN ABS(TIMESTAMP_DIFF(O.modifiedTime, E.modifiedTime, MILLISECOND)) <= 5000
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
            FROM `acme.desk.webhook_events`
            WHERE received_at >= @reads_from
            GROUP BY ticket_id, event_id
          ) AS E
          LEFT JOIN (
            SELECT
              ticket_id,
              event_id,
              MIN(modifiedTime) AS modifiedTime,
              LOGICAL_OR(outcome = 'merged') AS is_merged
            FROM `acme.desk.webhook_outcomes`
            WHERE received_at >= @reads_from
            GROUP BY ticket_id, event_id
          ) AS O
          ON O.ticket_id = E.ticket_id AND O.event_id = E.event_id
          WHERE IFNULL(O.is_merged, TRUE)
        ),
        first_event AS (
          SELECT
            IF(MIN(A.received_at) < @reads_from, MIN(A.received_at), MIN(D.received_at)) \
AS received_at
          FROM (
            SELECT MIN(received_at) AS received_at
            FROM `acme.desk.webhook_events`
          ) AS A
          CROSS JOIN (
            SELECT MIN(received_at) AS received_at
            FROM delivered
          ) AS D
        )
        """
    )
