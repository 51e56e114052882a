"""The ledger of events as Dagster shows it: asset, checks and the daily picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.defs.conftest import World, checks_of
from helpdesk_assets_tests.defs.webhook_io_manager import deliver
from helpdesk_assets_tests.webhook_events import store_events

LEDGER_CHECKS = ("webhook_gaps", "webhook_silence", "webhook_latency", "overlap_too_small")


def hear(world: World, changes: Iterable[TrueTicket], *, delay: float = 1.0) -> None:
    """The webhooks of these changes, stored as our receiver stores them."""
    changes = list(changes)
    deliver(world, [change.ticket_id for change in changes])
    store_events(world.warehouse, changes, delay=delay)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    found = checks_of(result)
    return {name: (found[name].passed, found[name].severity.value) for name in LEDGER_CHECKS}


def reasons(world: World) -> dict[str, str]:
    return {row["ticket_id"]: row["reason"] for row in world.rows(tables.MISSED_UPDATES.name)}


@pytest.fixture
def heard(world: World) -> World:
    assert world.sync().success
    hear(world, world.helpdesk.change(1))
    return world


def test_lost_ones_turn_the_check_red_and_late_ones_turn_late(heard: World) -> None:
    changed = heard.helpdesk.change(12, spread_seconds=12)
    lost = sorted(change.ticket_id for change in changed[:4])
    hear(heard, changed[4:])
    heard.helpdesk.advance(700)
    result = heard.sync()
    assert result.success
    assert reasons(heard) == dict.fromkeys(lost, "missed")
    assert checks(result) == {
        "webhook_gaps": (False, "ERROR"),
        "webhook_silence": (True, "ERROR"),
        "webhook_latency": (True, "WARN"),
        "overlap_too_small": (True, "WARN"),
    }
    told = checks_of(result)["webhook_gaps"].metadata
    assert isinstance(told["ticket_ids"], dg.JsonMetadataValue)
    assert sorted(str(ticket) for ticket in told["ticket_ids"].data or ()) == lost
    assert told["missed"].value == 4
    assert isinstance(told["since"], dg.TimestampMetadataValue)
    assert told["since"].value == min(c.modified_time for c in changed[:4]).timestamp()
    assert heard.told("sync_watermark")["missed"] == 4

    hear(heard, changed[:4], delay=900)
    result = heard.sync()
    assert reasons(heard) == dict.fromkeys(lost, "late")
    assert checks(result)["webhook_gaps"][0]
    assert heard.told("sync_watermark")["late"] == 4
    assert checks_of(result)["webhook_latency"].metadata["late"].value == 4


def test_a_receiver_that_hears_nothing_is_an_error(heard: World) -> None:
    heard.helpdesk.advance(3600)
    heard.helpdesk.change(3)
    heard.helpdesk.advance(4000)
    assert checks(heard.sync())["webhook_silence"] == (False, "ERROR")
    hear(heard, heard.helpdesk.change(1))
    heard.helpdesk.advance(700)
    assert checks(heard.sync())["webhook_silence"] == (True, "ERROR")


def test_what_polling_does_not_return_asks_for_a_longer_overlap(heard: World) -> None:
    heard.helpdesk.advance(700)
    heard.sync()
    hear(heard, heard.helpdesk.change(1))
    heard.helpdesk.advance(700)
    heard.helpdesk.fault("search_lag", seconds=760)
    result = heard.sync()
    assert checks(result)["overlap_too_small"] == (False, "WARN")
    told = checks_of(result)["overlap_too_small"].metadata
    assert (told["webhook_only"].value, told["overlap_wanted_seconds"].value) == (1, 600.0)


def test_the_daily_picture_costs_one_query_and_plots_the_day_that_is_over(world: World) -> None:
    from helpdesk_assets.definitions import defs

    world.sync()
    moment = datetime.now(UTC) - timedelta(days=1)
    changed = [
        replace(ticket, modified_time=moment - timedelta(seconds=number))
        for number, ticket in enumerate(world.helpdesk.truth())
    ]
    hear(world, changed[:5], delay=3)
    job = defs.resolve_job_def("webhook_health_job")
    assert job.execute_in_process(instance=world.instance, raise_on_error=False).success
    told = world.told("webhook_health")
    assert told["chart"].startswith("![changes by day](data:image/svg+xml;base64,")
    assert (told["delivered"], told["late"], told["missed"]) == (5, 0, 0)
    assert (told["latency_p50_seconds"], told["missed_share"]) == (3.0, 0.0)
    assert f"| {moment.date()} | 5 | 0 | 0 | 0.0% | 3.0 |" in told["days"]


def test_the_daily_picture_of_nothing_is_one_too(world: World) -> None:
    from helpdesk_assets.definitions import defs

    job = defs.resolve_job_def("webhook_health_job")
    assert job.execute_in_process(instance=world.instance, raise_on_error=False).success
    assert world.told("webhook_health")["chart"] == "no changes yet"
