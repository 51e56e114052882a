"""The webhook ledger in Dagster: asset, checks and daily chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of
from helpdesk_assets_tests.defs.webhook_io_manager import deliver
from helpdesk_assets_tests.webhook_events import store_events

pytestmark = pytest.mark.slow

LEDGER_CHECKS = ("webhook_gaps", "webhook_silence", "webhook_latency", "overlap_too_small")


def deliver_to_receiver(
    harness: DagsterHarness, changes: Iterable[TrueTicket], *, delay: float = 1.0
) -> None:
    """Store the webhooks of these changes as the receiver does."""
    changes = list(changes)
    deliver(harness, [change.ticket_id for change in changes])
    store_events(harness.warehouse, changes, delay=delay)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    found = checks_of(result)
    return {name: (found[name].passed, found[name].severity.value) for name in LEDGER_CHECKS}


def reasons(harness: DagsterHarness) -> dict[str, str]:
    return {row["ticket_id"]: row["reason"] for row in harness.rows(tables.MISSED_UPDATES.name)}


@pytest.fixture
def harness_with_event(harness: DagsterHarness) -> DagsterHarness:
    assert harness.sync().success
    deliver_to_receiver(harness, harness.helpdesk.change(1))
    return harness


def test_lost_webhooks_fail_the_check_and_late_ones_are_reclassified(
    harness_with_event: DagsterHarness,
) -> None:
    changed = harness_with_event.helpdesk.change(12, spread_seconds=12)
    lost = sorted(change.ticket_id for change in changed[:4])
    deliver_to_receiver(harness_with_event, changed[4:])
    harness_with_event.helpdesk.advance(700)
    result = harness_with_event.sync()
    assert result.success
    assert reasons(harness_with_event) == dict.fromkeys(lost, "missed")
    assert checks(result) == {
        "webhook_gaps": (False, "ERROR"),
        "webhook_silence": (True, "ERROR"),
        "webhook_latency": (True, "WARN"),
        "overlap_too_small": (True, "WARN"),
    }
    asset_metadata = checks_of(result)["webhook_gaps"].metadata
    assert isinstance(asset_metadata["ticket_ids"], dg.JsonMetadataValue)
    assert sorted(str(ticket) for ticket in asset_metadata["ticket_ids"].data or ()) == lost
    assert asset_metadata["missed"].value == 4
    assert isinstance(asset_metadata["since"], dg.TimestampMetadataValue)
    assert asset_metadata["since"].value == min(c.modified_time for c in changed[:4]).timestamp()
    assert harness_with_event.asset_metadata("sync_watermark")["missed"] == 4

    deliver_to_receiver(harness_with_event, changed[:4], delay=900)
    result = harness_with_event.sync()
    assert reasons(harness_with_event) == dict.fromkeys(lost, "late")
    assert checks(result)["webhook_gaps"][0]
    assert harness_with_event.asset_metadata("sync_watermark")["late"] == 4
    assert checks_of(result)["webhook_latency"].metadata["late"].value == 4


def test_silent_receiver_is_an_error(harness_with_event: DagsterHarness) -> None:
    harness_with_event.helpdesk.advance(3600)
    harness_with_event.helpdesk.change(3)
    harness_with_event.helpdesk.advance(4000)
    assert checks(harness_with_event.sync())["webhook_silence"] == (False, "ERROR")
    deliver_to_receiver(harness_with_event, harness_with_event.helpdesk.change(1))
    harness_with_event.helpdesk.advance(700)
    assert checks(harness_with_event.sync())["webhook_silence"] == (True, "ERROR")


def test_webhook_only_changes_suggest_a_longer_overlap(harness_with_event: DagsterHarness) -> None:
    harness_with_event.helpdesk.advance(700)
    harness_with_event.sync()
    deliver_to_receiver(harness_with_event, harness_with_event.helpdesk.change(1))
    harness_with_event.helpdesk.advance(700)
    harness_with_event.helpdesk.fault("search_lag", seconds=760)
    result = harness_with_event.sync()
    assert checks(result)["overlap_too_small"] == (False, "WARN")
    asset_metadata = checks_of(result)["overlap_too_small"].metadata
    assert (
        asset_metadata["webhook_only"].value,
        asset_metadata["overlap_wanted_seconds"].value,
    ) == (1, 600.0)


def test_daily_chart_costs_one_query_and_plots_completed_days(harness: DagsterHarness) -> None:
    from helpdesk_assets.definitions import defs

    harness.sync()
    moment = datetime.now(UTC) - timedelta(days=1)
    changed = [
        replace(ticket, modified_time=moment - timedelta(seconds=number))
        for number, ticket in enumerate(harness.helpdesk.truth(raw_ticket=True))
    ]
    deliver_to_receiver(harness, changed[:5], delay=3)
    job = defs.resolve_job_def("webhook_health_job")
    assert job.execute_in_process(instance=harness.instance, raise_on_error=False).success
    asset_metadata = harness.asset_metadata("webhook_health")
    assert asset_metadata["chart"].startswith("![changes by day](data:image/svg+xml;base64,")
    assert (asset_metadata["delivered"], asset_metadata["late"], asset_metadata["missed"]) == (
        5,
        0,
        0,
    )
    assert (asset_metadata["latency_p50_seconds"], asset_metadata["missed_share"]) == (3.0, 0.0)
    assert f"| {moment.date()} | 5 | 0 | 0 | 0.0% | 3.0 |" in asset_metadata["days"]


def test_daily_chart_without_data(harness: DagsterHarness) -> None:
    from helpdesk_assets.definitions import defs

    job = defs.resolve_job_def("webhook_health_job")
    assert job.execute_in_process(instance=harness.instance, raise_on_error=False).success
    assert harness.asset_metadata("webhook_health")["chart"] == "no changes yet"


def test_without_webhooks_nothing_is_claimed(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    from helpdesk_assets.definitions import defs

    monkeypatch.setenv("WEBHOOKS_ENABLED", "auto")
    assert harness.sync().success
    harness.helpdesk.change(12)
    harness.helpdesk.advance(700)
    result = harness.sync()
    why = "not judged: no webhook has been stored yet"
    for name in ("webhook_gaps", "webhook_silence", "webhook_latency"):
        check = checks_of(result)[name]
        assert (check.passed, check.description) == (True, f"{why.capitalize()}.")
        assert not [each for each in check.metadata.values() if isinstance(each.value, int | float)]
    assert reasons(harness) == {}
    synced = harness.asset_metadata("sync_watermark")
    assert (synced["missed"], synced["late"], synced["webhooks"]) == (None, None, why)
    job = defs.resolve_job_def("webhook_health_job")
    assert job.execute_in_process(instance=harness.instance, raise_on_error=False).success
    health = harness.asset_metadata("webhook_health")
    assert (health["chart"], health["delivered"], health["delivered_in_all"]) == (why, None, None)
