"""A table that an older sync has filled is adopted as it is."""

from __future__ import annotations

import json

from google.cloud import bigquery

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.spool import Spool
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


def create_older_table(harness: Harness) -> None:
    """Create a table as by the older sync: unpartitioned, raw_json as text, with all tickets.

    There is no state.
    """
    schema = [bigquery.SchemaField(name, kind) for name, kind in OLD_COLUMNS.items()]
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
            spool.append(json.dumps(row).encode())
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


def test_run_killed_while_adopting_leads_to_a_full_load(harness: Harness) -> None:
    """The table then has all our columns, so its newest row proves nothing."""
    create_older_table(harness)
    harness.prepare_tables()
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    harness.assert_equal()
