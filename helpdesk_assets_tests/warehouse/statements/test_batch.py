"""The statements as whole texts; `promises` tests that they run and are correct."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from textwrap import dedent

from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements import batch
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.batches import SMALL

DATASET = Dataset("acme", "desk")
LARGE = replace(SMALL, versions=None, staging="raw_ticket_changes__stg_x")
COLUMNS = "ticket_id, subject, status, priority, assignee, createdTime, modifiedTime, deletedTime"
BATCH_COLUMNS = ", ".join(f"B.{name}" for name in f"{COLUMNS}, raw_json, _content_hash".split(", "))


DELAY = timedelta(minutes=15)
TIMES = (
    "B._fetched_at AS _read_at, "
    "TIMESTAMP_SUB(B._fetched_at, INTERVAL @listing_delay SECOND) AS _alive_at"
)


def sql(text: str) -> str:
    text = dedent(text).strip().replace("<batch columns>", BATCH_COLUMNS)
    return text.replace("<times>", TIMES)


def values(query: Query) -> dict[str, object]:
    names = [parameter.name for parameter in query.parameters]
    assert len(set(names)) == len(names), "a parameter is given twice"
    return {parameter.name: parameter.value for parameter in query.parameters}


def test_small_batch_is_selected_by_its_versions() -> None:
    query = batch.batch(DATASET, SMALL)
    assert query.sql == sql(
        """
        SELECT <batch columns>, V._seq
        FROM `acme.desk.raw_ticket_changes` AS B
        JOIN (
          SELECT
            JSON_VALUE(v, '$.id') AS ticket_id,
            JSON_VALUE(v, '$.hash') AS _content_hash,
            CAST(JSON_VALUE(v, '$.seq') AS INT64) AS _seq
          FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@versions))) AS v
        ) AS V
        ON B.ticket_id = V.ticket_id AND B._content_hash = V._content_hash
        WHERE B.ticket_id IN UNNEST(@ticket_ids)
        """
    )
    versions, ids = query.parameters
    assert versions.value == (
        '[{"id": "7", "hash": "h1", "seq": 0}, {"id": "7", "hash": "h2", "seq": 1}, '
        '{"id": "8", "hash": "h3", "seq": 2}]'
    )
    assert ids == Parameter("ticket_ids", ColumnType.STRING, ("7", "8"))


def test_small_batch_is_read_since_it_can_have_been_stored() -> None:
    manifest = replace(SMALL, oldest_modified=SMALL.served_at - timedelta(days=3))
    query = batch.batch(DATASET, manifest)
    assert query.sql.endswith(
        "WHERE B.ticket_id IN UNNEST(@ticket_ids)\n"
        "  AND (B._fetched_at IS NULL OR B._fetched_at >= @batch_since)"
    )
    midnight = SMALL.served_at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert values(query)["batch_since"] == midnight - timedelta(days=4)


def test_batch_may_have_been_stored_before_a_later_change() -> None:
    """All its tickets are dated after the run's first answer, within what clocks may differ by."""
    ahead = replace(SMALL, oldest_modified=SMALL.served_at + timedelta(minutes=9))
    midnight = SMALL.served_at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert batch.stored_since(ahead) == midnight - timedelta(days=1)
    assert batch.stored_since(SMALL) is None


def test_ticket_of_the_first_day_there_is_has_no_bound() -> None:
    first = datetime.min.replace(tzinfo=UTC)
    assert batch.stored_since(replace(SMALL, oldest_modified=first)) is None


def test_large_batch_is_its_staging_table() -> None:
    query = batch.batch(DATASET, LARGE)
    assert query.sql == sql(
        """
        SELECT <batch columns>, B._seq
        FROM `acme.desk.raw_ticket_changes__stg_x` AS B
        """
    )
    assert query.parameters == ()


def test_tickets_are_stamped_by_the_warehouses_clock() -> None:
    query = batch.tickets_source(DATASET, LARGE, DELAY)
    assert query.sql == sql(
        """
        SELECT
          S.*,
          CURRENT_TIMESTAMP() AS _synced_at,
          CURRENT_TIMESTAMP() AS _first_synced_at,
          'sync' AS _synced_by,
          @run_id AS _run_id
        FROM (
          SELECT <batch columns>, B._seq, <times>
          FROM `acme.desk.raw_ticket_changes__stg_x` AS B
        ) AS S
        """
    )
    assert values(query) == {"listing_delay": 900, "run_id": "run-1"}


def test_small_batch_counts_as_read_at_its_first_answer() -> None:
    query = batch.tickets_source(DATASET, SMALL, DELAY)
    assert (
        "V._seq, @read_since AS _read_at, "
        "TIMESTAMP_SUB(@read_since, INTERVAL @listing_delay SECOND) AS _alive_at\n" in query.sql
    )
    assert values(query)["read_since"] == SMALL.read_since


def test_forced_batch_is_believed_at_once() -> None:
    query = batch.tickets_source(DATASET, replace(LARGE, forced=True), DELAY)
    assert values(query)["listing_delay"] == 0


def test_newest_stored_row_ignores_the_future() -> None:
    assert batch.newest_stored(DATASET).sql == sql(
        """
        SELECT MAX(modifiedTime) AS watermark
        FROM `acme.desk.tickets`
        WHERE modifiedTime <= CURRENT_TIMESTAMP()
        """
    )


def test_tombstones_are_set_in_the_versions_of_their_batch() -> None:
    query = batch.tickets_source(DATASET, replace(LARGE, tombstones=1), DELAY)
    assert query.sql == sql(
        """
        SELECT
          S.*,
          CURRENT_TIMESTAMP() AS _synced_at,
          CURRENT_TIMESTAMP() AS _first_synced_at,
          'sync' AS _synced_by,
          @run_id AS _run_id
        FROM (
          SELECT
            S.* REPLACE (
              COALESCE(S.deletedTime, D.deletedTime) AS deletedTime,
              IF(D.ticket_id IS NULL, S._read_at, GREATEST(S._read_at, D._read_at)) AS _read_at
            )
          FROM (
            SELECT <batch columns>, B._seq, B._tombstone, <times>
            FROM `acme.desk.raw_ticket_changes__stg_x` AS B
          ) AS S
          LEFT JOIN (
            SELECT *
            FROM (
              SELECT <batch columns>, B._seq, B._tombstone, <times>
              FROM `acme.desk.raw_ticket_changes__stg_x` AS B
            )
            WHERE _tombstone
            QUALIFY ROW_NUMBER() OVER (
              PARTITION BY ticket_id
              ORDER BY modifiedTime DESC, _seq DESC
            ) = 1
          ) AS D
          ON D.ticket_id = S.ticket_id
            AND NOT S._tombstone
            AND D.modifiedTime >= S.modifiedTime
            AND D._read_at >= S._alive_at
          WHERE TRUE
          QUALIFY RANK() OVER (PARTITION BY S.ticket_id ORDER BY IF(S._tombstone, 1, 0)) = 1
        ) AS S
        """
    )


def test_rows_older_than_the_flag_are_not_tombstones() -> None:
    query = batch.batch(DATASET, replace(SMALL, tombstones=1))
    assert "V._seq, IFNULL(B._tombstone, FALSE)" not in query.sql
    assert query.sql.startswith(
        f"SELECT {BATCH_COLUMNS}, IFNULL(B._tombstone, FALSE) AS _tombstone, V"
    )
