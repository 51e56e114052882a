"""The job end to end: the table equals the helpdesk, and runs have the expected cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from google.cloud import bigquery

from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count jobs at google's client, to check our own numbers."""
    seen = {"query": 0, "load": 0}
    query, load = bigquery.Client.query, bigquery.Client.load_table_from_file

    def counted_query(*args: Any, **kwargs: Any) -> Any:
        seen["query"] += 1
        return query(*args, **kwargs)

    def counted_load(*args: Any, **kwargs: Any) -> Any:
        seen["load"] += 1
        return load(*args, **kwargs)

    monkeypatch.setattr(bigquery.Client, "query", counted_query)
    monkeypatch.setattr(bigquery.Client, "load_table_from_file", counted_load)
    return seen


def test_table_equals_the_helpdesk_after_two_runs(harness: DagsterHarness) -> None:
    assert harness.sync().success
    assert harness.stored() == harness.truth()
    assert harness.asset_metadata("raw_ticket_changes")["mode"] == "full"
    assert harness.missed() == [], "on a first load no webhook is to blame"

    harness.helpdesk.change(5)
    harness.helpdesk.create(2)
    harness.helpdesk.advance(600)
    result = harness.sync()
    assert result.success
    assert harness.stored() == harness.truth()
    asset_metadata = harness.asset_metadata("sync_watermark")
    assert asset_metadata["mode"] == "incremental"
    assert (asset_metadata["rows_inserted"], asset_metadata["rows_updated"]) == (2, 5)
    assert asset_metadata["missed"] == 7
    assert len(harness.missed()) == 7


def test_incremental_run_costs_one_call_and_four_query_jobs(
    harness: DagsterHarness, jobs: dict[str, int]
) -> None:
    harness.sync()
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(5)
    harness.helpdesk.reset_counters()
    jobs.update(query=0, load=0)
    assert harness.sync().success
    assert harness.helpdesk.counters().total == 1
    assert jobs["query"] <= 4
    assert jobs["load"] == 0
    asset_metadata = harness.asset_metadata("sync_watermark")
    assert (asset_metadata["query_jobs"], asset_metadata["load_jobs"]) == (jobs["query"], 0)
    assert harness.asset_metadata("raw_ticket_changes")["api_calls"] == 1


def test_run_without_changes_costs_one_call_and_two_query_jobs(
    harness: DagsterHarness, jobs: dict[str, int]
) -> None:
    harness.sync()
    harness.helpdesk.advance(3600)
    harness.helpdesk.reset_counters()
    jobs.update(query=0, load=0)
    before = harness.watermark()
    assert harness.sync().success
    assert harness.helpdesk.counters().total == 1
    assert jobs["query"] <= 2
    assert jobs["load"] == 0
    assert harness.asset_metadata("sync_watermark")["tickets_synced"] == 0
    assert harness.watermark() - before >= timedelta(hours=1)


def test_every_run_has_the_same_metadata_keys(harness: DagsterHarness) -> None:
    """A missing key is a gap in a plot."""
    keys: list[dict[str, set[str]]] = []

    def note() -> None:
        assert harness.sync().success
        keys.append({asset: set(harness.asset_metadata(asset)) - _OMITTED for asset in ASSET_NAMES})

    note()
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(3)
    note()
    harness.helpdesk.advance(3600)
    note()
    assert keys[0] == keys[1] == keys[2]


# A stand-in without DML statistics tells these of a run that changed nothing only.
_OMITTED = {"rows_inserted", "rows_updated"}


def test_numeric_metadata_is_numeric_on_every_run(harness: DagsterHarness) -> None:
    harness.sync()
    first = {a: _kinds(harness, a) for a in ASSET_NAMES}
    harness.helpdesk.advance(3600)
    harness.sync()
    second = {a: _kinds(harness, a) for a in ASSET_NAMES}
    for asset in ASSET_NAMES:
        common = first[asset].keys() & second[asset].keys()
        differing = {k for k in common if first[asset][k] != second[asset][k]}
        # A first load judges no webhook, so it knows of no missed one.
        assert differing <= {"window_since", "missed"}, asset


def _kinds(harness: DagsterHarness, asset: str) -> dict[str, str]:
    event = harness.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {k: type(v).__name__ for k, v in event.asset_materialization.metadata.items()}


def test_large_batch_uses_staging_and_cleans_up(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch, jobs: dict[str, int]
) -> None:
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "2000")
    assert harness.sync().success
    assert jobs["load"] == 1
    assert harness.stored() == harness.truth()
    assert not [t.table_id for t in harness.warehouse.list_tables() if "__stg_" in t.table_id]


def test_range_repair_leaves_the_watermark(harness: DagsterHarness) -> None:
    harness.sync()
    before = harness.watermark()
    since = harness.helpdesk.clock().now - timedelta(days=800)
    config = {"since": since.isoformat(), "until": before.isoformat()}
    result = harness.sync({"ops": {"raw_ticket_changes": {"config": config}}})
    assert result.success
    assert harness.watermark() == before
    asset_metadata = harness.asset_metadata("sync_watermark")
    assert (asset_metadata["rows_unchanged"], asset_metadata["table_rows"]) == (40, 40)
    assert checks_of(result)["read_whole"].passed


def test_range_without_zone_is_rejected_with_a_clear_message(harness: DagsterHarness) -> None:
    config = {"since": "2026-11-01T00:00:00"}
    result = harness.sync({"ops": {"raw_ticket_changes": {"config": config}}})
    assert not result.success
    (failed,) = [e for e in result.all_events if e.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert "Write an ISO 8601 time with its zone" in (failure.description or "")


def test_failing_change_endpoint_falls_back_with_a_warning(harness: DagsterHarness) -> None:
    harness.sync()
    harness.helpdesk.change(3)
    harness.helpdesk.fault("error_500", on="search")
    result = harness.sync()
    assert result.success
    assert harness.stored() == harness.truth()
    check = checks_of(result)["no_fallback"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert harness.asset_metadata("raw_ticket_changes")["mode"] == "full"


def test_lost_webhooks_are_reported(harness: DagsterHarness) -> None:
    from helpdesk_assets_tests.defs.webhook_io_manager import deliver

    harness.sync()
    harness.helpdesk.advance(3600)
    changed = harness.helpdesk.change(ids=[t.ticket_id for t in harness.helpdesk.truth()])
    lost = sorted(ticket.ticket_id for ticket in changed)[:3]
    deliver(harness, [t.ticket_id for t in changed if t.ticket_id not in lost])
    harness.helpdesk.advance(600)
    result = harness.sync()
    assert harness.missed() == lost
    check = checks_of(result)["webhook_gaps"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["missed"].value == 3
    assert check.metadata["changes"].value == 40
    table = str(check.metadata["missed_named"].value)
    assert all(ticket in table for ticket in lost)
    assert harness.stored() == harness.truth()

    harness.helpdesk.advance(600)
    assert checks_of(harness.sync())["webhook_gaps"].passed
