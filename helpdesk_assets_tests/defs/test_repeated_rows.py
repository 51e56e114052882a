"""Rows that are there twice, in Dagster: the run that counts them removes them and says so."""

from __future__ import annotations

import dagster as dg

from helpdesk_assets.definitions import defs
from helpdesk_assets_tests.backends import BigQueryBackend
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of


def test_sync_removes_repeated_rows_and_warns_once(harness: DagsterHarness) -> None:
    assert harness.sync().success
    BigQueryBackend(harness.warehouse).double_rows("tickets")
    result = harness.sync()
    assert result.success
    check = checks_of(result)["one_row_per_ticket"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["repeated_keys"].value == 40
    assert check.metadata["repeated_rows_removed"].value == 40
    assert "BigQuery enforces no keys" in str(check.description)
    assert harness.stored() == harness.truth()
    assert checks_of(harness.sync())["one_row_per_ticket"].passed


def test_backfill_removes_repeated_rows_and_warns(harness: DagsterHarness) -> None:
    assert harness.sync().success
    BigQueryBackend(harness.warehouse).double_rows("tickets")
    newest = max(ticket.modified_time for ticket in harness.helpdesk.truth())
    result = defs.resolve_job_def("helpdesk_backfill").execute_in_process(
        instance=harness.instance, partition_key=f"{newest:%Y-%m}"
    )
    assert result.success
    metadata = harness.asset_metadata("ticket_backfill")
    assert (metadata["repeated_keys"], metadata["repeated_rows_removed"]) == (40, 40)
    assert harness.stored() == harness.truth()
