"""The drain in Dagster: its job, and the schedule that has nothing to do on a quiet day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.schedules import every_five_minutes
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.backends import BigQueryBackend
from helpdesk_assets_tests.defs.conftest import DagsterHarness
from helpdesk_assets_tests.harness import spooled_events

TICK = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def with_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance like that of `dagster dev`, the only kind that runs schedules."""
    home = str(tmp_path_factory.mktemp("dagster"))
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(home, overrides=quiet) as local:
        yield local


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=TICK,
        resources={"bigquery": HelpdeskBigQuery()},
    ) as context:
        data = every_five_minutes.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else data.skip_message or ""


def drain(harness: DagsterHarness) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("webhook_drain")
    return job.execute_in_process(instance=harness.instance, raise_on_error=False)


def append(harness: DagsterHarness, ticket_id: str, event_id: str) -> None:
    """A receiver appends a hint of this ticket now."""
    now = datetime.now(UTC)
    kind, name = EventKind.HINT, "ticket.updated"
    event = WebhookEvent(event_id, ticket_id, name, kind, "rest", now, committed_at=now)
    with spooled_events(event) as spool:
        BigQueryBackend(harness.warehouse).append(tables.WEBHOOK_EVENTS, spool)


def test_schedule_drains_what_waits_and_then_skips(
    harness: DagsterHarness, with_files: dg.DagsterInstance
) -> None:
    assert tick(with_files) == "No webhook waits."
    assert harness.sync().success
    (change,) = harness.helpdesk.change(1, fields={"subject": "Told"})
    append(harness, change.ticket_id, "first")
    request = tick(with_files)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == TICK.isoformat()
    assert drain(harness).success
    told = harness.asset_metadata("drained_webhooks")
    counted = ("waiting", "merged", "fetched", "unknown", "not_stored", "left")
    assert [told[name] for name in counted] == [1, 1, 1, 0, 0, 0]
    assert told["seconds"] > 0
    stored = {row["ticket_id"]: row for row in harness.rows("tickets")}[change.ticket_id]
    assert (stored["subject"], stored["_synced_by"]) == ("Told", "webhook")
    # The first drain notes whose events these are, which changes the table once.
    assert drain(harness).success
    assert tick(with_files) == "No webhook waits."


def test_sync_drains_before_it_reads(harness: DagsterHarness) -> None:
    assert harness.sync().success
    (change,) = harness.helpdesk.change(1)
    append(harness, change.ticket_id, "first")
    assert harness.sync().success
    (outcome,) = harness.rows(tables.WEBHOOK_OUTCOMES.name)
    assert (outcome["event_id"], outcome["outcome"]) == ("first", "merged")


def test_outage_fails_the_drain_and_keeps_events(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert harness.sync().success
    append(harness, "1", "first")
    monkeypatch.setenv("HELPDESK_API_TOKEN", "wrong")
    result = drain(harness)
    assert not result.success
    assert harness.rows(tables.WEBHOOK_OUTCOMES.name) == []


def test_tick_without_a_warehouse_says_why(
    with_files: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://example.com:9050")
    assert "is not on this machine" in str(tick(with_files))


def test_tick_is_skipped_while_a_sync_runs(with_files: dg.DagsterInstance) -> None:
    job = defs.resolve_job_def("helpdesk_sync")
    run = with_files.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert run.run_id in str(tick(with_files))
