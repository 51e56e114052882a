"""A table that an older sync has filled is adopted as it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from google.cloud import bigquery

from helpdesk_assets.errors import SchemaMismatch
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.table_spec import JobUsage
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY

pytestmark = ON_BIGQUERY

OLD_COLUMNS = {
    "ticket_id": "STRING",
    "subject": "STRING",
    "status": "STRING",
    "priority": "STRING",
    "assignee": "STRING",
    "modifiedTime": "TIMESTAMP",
    "raw_json": "STRING",
}


def create_older_table(harness: Harness, *, spelled: Callable[[str], str] = str) -> None:
    """Create a table as by the older sync: unpartitioned, raw_json as text, with all tickets.

    There is no state. `spelled` changes the case of its columns' names.
    """
    schema = [bigquery.SchemaField(spelled(name), kind) for name, kind in OLD_COLUMNS.items()]
    # The others were not filled, and stay NULL until a ticket changes.
    harness.columns = ("subject", "status", "modifiedTime", "raw_json")
    table = harness.warehouse.dataset.table_id("tickets")
    harness.warehouse.create_table(bigquery.Table(table, schema))
    with Spool(1) as spool:
        for ticket in harness.simulator.truth(raw_ticket=True):
            assert ticket.raw_ticket is not None
            row = {
                "ticket_id": ticket.ticket_id,
                "subject": ticket.raw_ticket["subject"],
                "status": ticket.raw_ticket["status"],
                "modifiedTime": ticket.modified_time.isoformat(),
                "raw_json": json.dumps(ticket.raw_ticket),
            }
            spool.append(json.dumps({spelled(name): row[name] for name in row}).encode())
        harness.warehouse.load(spool.stream(), "tickets", schema, run_id="old", step="old")


def test_existing_rows_are_kept_and_the_next_run_is_incremental(harness: Harness) -> None:
    create_older_table(harness)
    changed = harness.simulator.change(5, spread_seconds=10) + harness.simulator.create(2)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.manifest.api.calls == 1
    assert harness.missed() == as_versions(changed)
    harness.assert_equal()
    columns = {field.name: field.field_type for field in harness.table_fields("tickets")}
    assert columns["raw_json"] == "STRING"
    assert {"createdTime", "deletedTime", "_synced_at", "_synced_by", "_content_hash"} <= set(
        columns
    )
    second = harness.sync()
    assert second.manifest.reason == "changes since the watermark"


@pytest.mark.parametrize("spelled", [str.upper, str.lower, str.title])
def test_older_table_may_spell_its_columns_in_any_case(
    harness: Harness, spelled: Callable[[str], str]
) -> None:
    create_older_table(harness, spelled=spelled)
    changed = harness.simulator.change(5, spread_seconds=10)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert harness.missed() == as_versions(changed)
    columns = [field.name for field in harness.table_fields("tickets")]
    assert columns[: len(OLD_COLUMNS)] == [spelled(name) for name in OLD_COLUMNS]
    assert len({name.lower() for name in columns}) == len(columns)


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("ticket_id", "INTEGER", "ticket_id is INT64 in the table and must be STRING"),
        ("modifiedTime", "STRING", "modifiedTime is STRING in the table and must be TIMESTAMP"),
        ("modifiedTime", "DATETIME", "modifiedTime is DATETIME in the table and must be TIMESTAMP"),
        ("createdTime", "DATE", "createdTime is DATE in the table and must be TIMESTAMP"),
        ("deletedTime", "BOOLEAN", "deletedTime is BOOL in the table and must be TIMESTAMP"),
        ("raw_json", "BYTES", "raw_json is BYTES in the table and must be JSON"),
        ("_content_hash", "INTEGER", "_content_hash is INT64 in the table and must be STRING"),
        ("Status", "INTEGER", "status is INT64 in the table and must be STRING"),
    ],
)
def test_column_of_another_type_stops_the_run_before_it_reads(
    harness: Harness, name: str, kind: str, wanted: str
) -> None:
    columns = {each: OLD_COLUMNS[each] for each in OLD_COLUMNS if each != name.lower()}
    schema = [bigquery.SchemaField(*each) for each in {**columns, name: kind}.items()]
    table = harness.warehouse.dataset.table_id("tickets")
    harness.warehouse.create_table(bigquery.Table(table, schema))
    harness.simulator.reset_counters()
    with pytest.raises(SchemaMismatch, match=f"Table tickets: {wanted}"):
        harness.sync()
    assert harness.simulator.counters().calls == {}
    assert harness.warehouse.use == JobUsage()


def test_run_killed_while_adopting_leads_to_a_full_load(harness: Harness) -> None:
    """The table then has all our columns, so its newest row proves nothing."""
    create_older_table(harness)
    harness.prepare_tables()
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    harness.assert_equal()
