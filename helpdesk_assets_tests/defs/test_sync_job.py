"""The job from end to end: the table equals the helpdesk, and each run costs what it should."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from google.cloud import bigquery

from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets_tests.defs.conftest import World, checks_of


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts at google's client what our own numbers claim."""
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


def test_after_a_first_and_a_second_run_the_table_is_the_helpdesk(world: World) -> None:
    assert world.sync().success
    assert world.stored() == world.truth()
    assert world.told("raw_ticket_changes")["mode"] == "full"
    assert world.missed() == [], "on a first load no webhook is to blame"

    world.helpdesk.change(5)
    world.helpdesk.create(2)
    world.helpdesk.advance(600)
    result = world.sync()
    assert result.success
    assert world.stored() == world.truth()
    told = world.told("sync_watermark")
    assert told["mode"] == "incremental"
    assert (told["rows_inserted"], told["rows_updated"]) == (2, 5)
    assert told["missed"] == 7
    assert len(world.missed()) == 7


def test_an_incremental_run_costs_one_call_and_four_query_jobs(
    world: World, jobs: dict[str, int]
) -> None:
    world.sync()
    world.helpdesk.advance(3600)
    world.helpdesk.change(5)
    world.helpdesk.reset_counters()
    jobs.update(query=0, load=0)
    assert world.sync().success
    assert world.helpdesk.counters().total == 1
    assert jobs["query"] <= 4
    assert jobs["load"] == 0
    told = world.told("sync_watermark")
    assert (told["query_jobs"], told["load_jobs"]) == (jobs["query"], 0)
    assert world.told("raw_ticket_changes")["api_calls"] == 1


def test_a_run_without_changes_costs_one_call_and_at_most_two_query_jobs(
    world: World, jobs: dict[str, int]
) -> None:
    world.sync()
    world.helpdesk.advance(3600)
    world.helpdesk.reset_counters()
    jobs.update(query=0, load=0)
    before = world.watermark()
    assert world.sync().success
    assert world.helpdesk.counters().total == 1
    assert jobs["query"] <= 2
    assert jobs["load"] == 0
    assert world.told("sync_watermark")["tickets_synced"] == 0
    assert world.watermark() - before >= timedelta(hours=1)


def test_every_run_tells_the_same_keys(world: World) -> None:
    """A key that is absent once is a gap in a plot."""
    keys: list[dict[str, set[str]]] = []

    def note() -> None:
        assert world.sync().success
        keys.append({asset: set(world.told(asset)) - _UNTOLD for asset in ASSET_NAMES})

    note()
    world.helpdesk.advance(3600)
    world.helpdesk.change(3)
    note()
    world.helpdesk.advance(3600)
    note()
    assert keys[0] == keys[1] == keys[2]


# A stand-in without DML statistics tells these of a run that changed nothing only.
_UNTOLD = {"rows_inserted", "rows_updated"}


def test_numbers_are_numbers_on_every_run(world: World) -> None:
    world.sync()
    first = {a: _kinds(world, a) for a in ASSET_NAMES}
    world.helpdesk.advance(3600)
    world.sync()
    second = {a: _kinds(world, a) for a in ASSET_NAMES}
    for asset in ASSET_NAMES:
        common = first[asset].keys() & second[asset].keys()
        differing = {k for k in common if first[asset][k] != second[asset][k]}
        assert differing <= {"window_since"}, asset


def _kinds(world: World, asset: str) -> dict[str, str]:
    event = world.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {k: type(v).__name__ for k, v in event.asset_materialization.metadata.items()}


def test_a_large_batch_goes_through_staging_and_leaves_none(
    world: World, monkeypatch: pytest.MonkeyPatch, jobs: dict[str, int]
) -> None:
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "2000")
    assert world.sync().success
    assert jobs["load"] == 1
    assert world.stored() == world.truth()
    assert not [t.table_id for t in world.warehouse.list_tables() if "__stg_" in t.table_id]


def test_a_range_is_repaired_and_leaves_the_watermark_alone(world: World) -> None:
    world.sync()
    before = world.watermark()
    since = world.helpdesk.clock().now - timedelta(days=800)
    config = {"since": since.isoformat(), "until": before.isoformat()}
    result = world.sync({"ops": {"raw_ticket_changes": {"config": config}}})
    assert result.success
    assert world.watermark() == before
    told = world.told("sync_watermark")
    assert (told["rows_unchanged"], told["table_rows"]) == (40, 40)
    assert checks_of(result)["read_whole"].passed


def test_a_range_without_a_zone_is_refused_with_a_clear_line(world: World) -> None:
    config = {"since": "2026-11-01T00:00:00"}
    result = world.sync({"ops": {"raw_ticket_changes": {"config": config}}})
    assert not result.success
    (failed,) = [e for e in result.all_events if e.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert "Write an ISO 8601 time with its zone" in (failure.description or "")


def test_a_failing_change_endpoint_leads_to_the_listing_and_a_warning(world: World) -> None:
    world.sync()
    world.helpdesk.change(3)
    world.helpdesk.fault("error_500", on="search")
    result = world.sync()
    assert result.success
    assert world.stored() == world.truth()
    check = checks_of(result)["no_fallback"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert world.told("raw_ticket_changes")["mode"] == "full"


def test_webhooks_that_lost_3_of_40_are_told_on(world: World) -> None:
    from helpdesk_assets_tests.defs.webhook_io_manager import deliver

    world.sync()
    world.helpdesk.advance(3600)
    changed = world.helpdesk.change(ids=[t.ticket_id for t in world.helpdesk.truth()])
    lost = sorted(ticket.ticket_id for ticket in changed)[:3]
    deliver(world, [t.ticket_id for t in changed if t.ticket_id not in lost])
    world.helpdesk.advance(600)
    result = world.sync()
    assert world.missed() == lost
    check = checks_of(result)["webhook_gaps"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["missed"].value == 3
    assert check.metadata["changes"].value == 40
    table = str(check.metadata["missed_named"].value)
    assert all(ticket in table for ticket in lost)
    assert world.stored() == world.truth()

    world.helpdesk.advance(600)
    assert checks_of(world.sync())["webhook_gaps"].passed
