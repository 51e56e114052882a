"""The commands `watermark show`, `set` and `rebuild`, against a helpdesk and a warehouse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.cli.conftest import TICKETS, Run


def shown(run: Run) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(run("watermark", "show", "--json").stdout)
    return state


def test_before_the_first_run(environment: Settings, run: Run) -> None:
    assert "has no watermark: no window has been read whole yet." in run("watermark", "show").stdout
    assert shown(run) == {
        "sync_name": "tickets",
        "watermark": None,
        "version": 0,
        "cursor": None,
        "advances": [],
    }
    refused = run("watermark", "rebuild", "--yes")
    assert refused.exit_code == 1
    assert "The run log of sync 'tickets' is empty" in refused.stderr


def test_every_advance_is_shown(environment: Settings, run: Run) -> None:
    run("sync")
    run("sync")
    state = shown(run)
    assert [advance["mode"] for advance in state["advances"]] == ["incremental", "full"]
    newest, first = state["advances"]
    assert (newest["version"], newest["watermark"]) == (state["version"], state["watermark"])
    assert (first["tickets"], first["inserted"], first["api_calls"]) == (TICKETS, TICKETS, 1)
    page = run("watermark", "show").stdout
    assert "Sync 'tickets' has read everything up to" in page
    assert "full: first load" in page


def test_without_confirmation_only_the_effect_is_printed(environment: Settings, run: Run) -> None:
    run("sync")
    before = shown(run)
    said = run("watermark", "set", "2026-01-01T00:00:00Z")
    assert said.exit_code == 1
    assert "The watermark moves back by" in said.stdout
    assert said.stdout.endswith("Nothing was changed. Add --yes to apply the change.\n")
    assert shown(run) == before


def test_setting_back_rereads_changes_from_there(
    environment: Settings, warehouse: BigQueryClient, simulator: SimulatedHelpdesk, run: Run
) -> None:
    run("sync")
    done = run("watermark", "set", "2001-01-01T00:00:00Z", "--yes")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (
        0,
        "The watermark is 2001-01-01 00:00:00Z.",
    )
    assert shown(run)["advances"][0]["mode"] == "by_hand"
    # As if the row had never been correct: the next run must correct it.
    wiped = "UPDATE `{}` SET subject = 'wrong', modifiedTime = TIMESTAMP '2001-01-02' WHERE TRUE"
    _change(warehouse, wiped.format(warehouse.dataset.table_id("tickets")))
    run("sync")
    true = {ticket.ticket_id: ticket.modified_time for ticket in simulator.truth()}
    rows = list(warehouse.list_rows("tickets"))
    assert {row["ticket_id"]: row["modifiedTime"] for row in rows} == true
    assert all(row["subject"] != "wrong" for row in rows)
    assert [each["mode"] for each in shown(run)["advances"]] == ["incremental", "by_hand", "full"]
    assert run("status").exit_code == 0


def test_setting_forward_states_the_skipped_range(
    environment: Settings, warehouse: BigQueryClient, simulator: SimulatedHelpdesk, run: Run
) -> None:
    run("sync")
    run("watermark", "set", "2001-01-01T00:00:00Z", "--yes")
    said = run("watermark", "set", "2001-01-02T00:00:00Z", "--yes")
    assert said.exit_code == 0
    assert (
        "run `helpdesk-assets repair --since 2001-01-01T00:00:00Z --until 2001-01-02T00:00:00Z` "
        "or `helpdesk-assets sync --full`."
    ) in said.stdout
    again = run("watermark", "set", "2001-01-02T00:00:00Z")
    assert (again.exit_code, again.stdout) == (
        0,
        "The watermark is 2001-01-02 00:00:00Z already.\n",
    )


def test_watermark_ahead_of_the_helpdesk_clock_is_rejected(environment: Settings, run: Run) -> None:
    run("sync")
    before = shown(run)
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    refused = run("watermark", "set", ahead, "--yes")
    assert refused.exit_code == 1
    assert "is ahead of the helpdesk's clock" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert shown(run) == before


def test_time_without_zone_is_rejected(environment: Settings, run: Run) -> None:
    refused = run("watermark", "set", "2026-01-01T00:00:00", "--yes")
    assert refused.exit_code == 2
    assert "has no zone" in refused.stderr


def test_lost_state_row_is_rebuilt_from_the_log(
    environment: Settings, warehouse: BigQueryClient, simulator: SimulatedHelpdesk, run: Run
) -> None:
    run("sync")
    run("sync", "--full")
    before = shown(run)
    kept = run("watermark", "rebuild", "--yes")
    assert kept.exit_code == 1
    assert "has its state row, at version 2" in kept.stderr
    _change(warehouse, f"DELETE FROM `{warehouse.dataset.table_id('sync_state')}` WHERE TRUE")
    assert "has lost its state row" in run("watermark", "show").stdout
    assert run("watermark", "rebuild").exit_code == 1
    assert shown(run)["watermark"] is None
    done = run("watermark", "rebuild", "--yes")
    assert done.exit_code == 0
    after = shown(run)
    assert (after["watermark"], after["version"]) == (before["watermark"], 3)
    assert after["advances"][0]["mode"] == "by_hand"
    assert after["advances"][1:] == before["advances"]
    run("sync")
    assert shown(run)["advances"][0]["mode"] == "incremental"


def _change(warehouse: BigQueryClient, sql: str) -> None:
    """Change tickets with a separate client, as a person does."""
    warehouse._client.query(sql).result()
