"""A table that an older sync has filled is taken over as it is."""

from __future__ import annotations

import json

from google.cloud import bigquery

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.spool import Spool
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions

OLD_COLUMNS = {
    "ticket_id": "STRING",
    "subject": "STRING",
    "status": "STRING",
    "priority": "STRING",
    "assignee": "STRING",
    "modifiedTime": "TIMESTAMP",
    "raw_json": "STRING",
}


def leave_an_older_table(rig: Rig) -> None:
    """As the older sync left it: unpartitioned, raw_json as text, no state, all tickets in it."""
    schema = [bigquery.SchemaField(name, kind) for name, kind in OLD_COLUMNS.items()]
    # The others were not filled, and stay so until a ticket changes.
    rig.columns = ("subject", "status", "modifiedTime", "raw_json")
    table = rig.warehouse.dataset.table_id("tickets")
    rig.warehouse.create_table(bigquery.Table(table, schema))
    with Spool(1) as spool:
        for ticket in rig.desk.truth(whole=True):
            assert ticket.whole is not None
            row = {
                "ticket_id": ticket.ticket_id,
                "subject": ticket.whole["subject"],
                "status": ticket.whole["status"],
                "modifiedTime": ticket.modified_time.isoformat(),
                "raw_json": json.dumps(ticket.whole),
            }
            spool.append(json.dumps(row).encode())
        rig.warehouse.load(spool.stream(), "tickets", schema, run_id="old", step="old")


def test_rows_are_kept_columns_added_and_the_next_run_is_incremental(rig: Rig) -> None:
    leave_an_older_table(rig)
    changed = rig.desk.change(5, spread_seconds=10) + rig.desk.create(2)
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.manifest.api.calls == 1
    assert rig.missed() == as_versions(changed)
    rig.assert_equal()
    columns = {field.name: field.field_type for field in rig.table_fields("tickets")}
    assert columns["raw_json"] == "STRING"
    assert {"createdTime", "deletedTime", "_synced_at", "_synced_by", "_content_hash"} <= set(
        columns
    )
    second = rig.sync()
    assert second.manifest.reason == "changes since the watermark"


def test_a_run_killed_while_adopting_leads_to_a_full_load(rig: Rig) -> None:
    """Its columns are there, so the table is ours by then, and its newest row proves nothing."""
    leave_an_older_table(rig)
    rig.sync_tables_exist()
    report = rig.sync()
    assert report.manifest.mode is Mode.FULL
    rig.assert_equal()
