"""The statements on repeated rows as whole texts; `contract` tests what they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements.repeated_rows import (
    COUNTED_TABLES,
    MISSES,
    TICKETS,
    VERSIONS,
    CountedTable,
    counted_since,
    find_repeated,
    remove_repeated,
    repeated_counts,
)
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, sql, values

DAY = datetime(2026, 10, 31, tzinfo=UTC)
COLUMNS = ("ticket_id", "deletedTime", "_read_at", "_first_synced_at", "own")


def test_tickets_keep_the_newest_row_in_one_statement() -> None:
    query = remove_repeated(DATASET, TICKETS, ("7", "8"), DAY, COLUMNS)
    assert query.sql == sql(
        """
        MERGE INTO `acme.desk.tickets` AS T
        USING (
          SELECT
            B.`ticket_id`,
            IFNULL(B.`deletedTime`, IF(MAX(B.`deletedTime`) OVER (PARTITION BY B.`ticket_id`) \
>= B.`modifiedTime`, MAX(B.`deletedTime`) OVER (PARTITION BY B.`ticket_id`), NULL)) \
AS `deletedTime`,
            MAX(B.`_read_at`) OVER (PARTITION BY B.`ticket_id`) AS `_read_at`,
            MIN(B.`_first_synced_at`) OVER (PARTITION BY B.`ticket_id`) AS `_first_synced_at`,
            B.`own`
          FROM `acme.desk.tickets` AS B
          WHERE B.`ticket_id` IN UNNEST(@ids)
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY B.`ticket_id`
            ORDER BY B.`modifiedTime` DESC NULLS LAST, B.`deletedTime` DESC NULLS LAST, \
B.`_synced_at` DESC NULLS LAST
          ) = 1
        ) AS S
        ON FALSE
        WHEN NOT MATCHED BY SOURCE AND T.`ticket_id` IN UNNEST(@ids) THEN DELETE
        WHEN NOT MATCHED BY TARGET THEN INSERT (`ticket_id`, `deletedTime`, `_read_at`, \
`_first_synced_at`, `own`)
        VALUES (S.`ticket_id`, S.`deletedTime`, S.`_read_at`, S.`_first_synced_at`, S.`own`)
        """
    )
    assert values(query) == {"ids": ("7", "8")}


def test_versions_are_read_and_deleted_within_the_same_days() -> None:
    query = remove_repeated(DATASET, VERSIONS, ("7",), DAY, ("ticket_id",))
    assert query.sql == sql(
        """
        MERGE INTO `acme.desk.raw_ticket_changes` AS T
        USING (
          SELECT
            B.`ticket_id`
          FROM `acme.desk.raw_ticket_changes` AS B
          WHERE B.`ticket_id` IN UNNEST(@ids) AND B.`_fetched_at` >= @repeated_since
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY B.`ticket_id`, B.`modifiedTime`, B.`_content_hash`
            ORDER BY B.`_fetched_at`, B.`_seq`
          ) = 1
        ) AS S
        ON FALSE
        WHEN NOT MATCHED BY SOURCE AND T.`ticket_id` IN UNNEST(@ids) AND T.`_fetched_at` >= \
@repeated_since THEN DELETE
        WHEN NOT MATCHED BY TARGET THEN INSERT (`ticket_id`)
        VALUES (S.`ticket_id`)
        """
    )
    assert values(query) == {"ids": ("7",), "repeated_since": DAY}


def test_repeated_keys_come_with_their_writers() -> None:
    assert find_repeated(DATASET, MISSES, DAY).sql == sql(
        """
        SELECT
          B.`ticket_id`,
          COUNT(*) AS row_count,
          MIN(IFNULL(CONCAT('run ', B.`_run_id`), 'another program or a person')) AS one_writer,
          MAX(IFNULL(CONCAT('run ', B.`_run_id`), 'another program or a person')) AS other_writer
        FROM `acme.desk.missed_updates` AS B
        WHERE B.`ticket_id` IS NOT NULL AND B.`detected_at` >= @repeated_since
        GROUP BY B.`ticket_id`, B.`modifiedTime`
        HAVING COUNT(*) > 1
        """
    )


def test_counts_read_keys_of_few_days() -> None:
    fields, query = repeated_counts(DATASET, SMALL)
    assert fields == (
        ",\n  R.repeated_versions AS repeated_versions,\n  R.repeated_misses AS repeated_misses"
    )
    assert query.sql == sql(
        """
        SELECT
          (
            SELECT IFNULL(SUM(K.row_count - 1), 0)
            FROM (
              SELECT COUNT(*) AS row_count
              FROM `acme.desk.raw_ticket_changes`
              WHERE _fetched_at >= @repeated_since
              GROUP BY ticket_id, modifiedTime, _content_hash
            ) AS K
          ) AS repeated_versions,
          (
            SELECT IFNULL(SUM(K.row_count - 1), 0)
            FROM (
              SELECT COUNT(*) AS row_count
              FROM `acme.desk.missed_updates`
              WHERE detected_at >= @repeated_since
              GROUP BY ticket_id, modifiedTime
            ) AS K
          ) AS repeated_misses
        """
    )
    assert values(query) == {"repeated_since": DAY}


@pytest.mark.parametrize(
    ("manifest", "since"),
    [
        (SMALL, DAY),
        (replace(SMALL, window=Window(NOON - timedelta(days=3), NOON)), DAY - timedelta(days=3)),
        (replace(SMALL, window=Window(None, NOON)), DAY),
        (replace(SMALL, window=Window(NOON - timedelta(days=900), NOON), is_range=True), DAY),
    ],
    ids=["quiet", "after days", "first load", "month of long ago"],
)
def test_counting_begins_a_day_before_what_is_read(manifest: Manifest, since: datetime) -> None:
    assert counted_since(manifest) == since


@pytest.mark.parametrize("counted", COUNTED_TABLES, ids=lambda each: each.spec.name)
def test_every_counted_table_but_tickets_is_bounded(counted: CountedTable) -> None:
    bound = None if counted.spec is tables.TICKETS else counted.spec.partition_by
    assert counted.since_column == bound
