"""A run of the job over tables that somebody changed, or that belong to another account."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of, failure_text

TABLES = ("tickets", "raw_ticket_changes", "sync_state")


def test_job_reads_a_dropped_table_whole(harness: DagsterHarness) -> None:
    assert harness.sync().success
    harness.warehouse.drop_table("tickets")
    harness.helpdesk.advance(600)
    result = harness.sync()
    assert result.success
    assert harness.stored() == harness.truth()
    fetched = harness.asset_metadata("raw_ticket_changes")
    assert fetched["mode"] == "full"
    for name in ("reason", "what_was_wrong_with_the_tables"):
        assert "tickets was not there" in fetched[name]
    shrank = checks_of(result)["table_shrank"]
    assert not shrank.passed
    assert "tickets was not there" in (shrank.description or "")

    harness.helpdesk.advance(600)
    result = harness.sync()
    assert result.success
    assert harness.asset_metadata("raw_ticket_changes")["mode"] == "incremental"
    assert checks_of(result)["table_shrank"].passed


def test_job_refuses_the_dataset_of_another_account(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert harness.sync().success
    before = {name: harness.rows(name) for name in TABLES}
    harness.helpdesk.advance(600)
    harness.helpdesk.change(3)
    harness.helpdesk.reset_counters()
    other = harness.helpdesk.base_url.replace("127.0.0.1", "127.0.0.2")
    monkeypatch.setenv("HELPDESK_BASE_URL", other)
    result = harness.sync()
    assert not result.success
    assert "holds the tickets of another account" in failure_text(result)
    assert "--adopt-account" in failure_text(result)
    assert harness.helpdesk.counters().total == 0
    assert {name: harness.rows(name) for name in TABLES} == before
