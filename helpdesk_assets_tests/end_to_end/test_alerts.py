"""From webhooks that a helpdesk lost to people who are told over HTTP: its posts, our receiver, the
sync as Dagster runs it, and a real daemon."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.alerts.alert_server import Receiver
from helpdesk_assets_tests.defs.conftest import World, checks_of
from helpdesk_assets_tests.defs.real_daemon import daemon, ticks, until
from helpdesk_assets_tests.end_to_end.subscribed_receiver import Time, listening
from helpdesk_assets_tests.harness import RIPE_SECONDS

GAPS = "helpdesk-assets: missed_updates.webhook_gaps"


def sync(world: World, time: Time) -> tuple[bool, str]:
    """A run so much later that all changes are ripe; what `webhook_gaps` is then."""
    time.pass_by(RIPE_SECONDS)
    result = world.sync()
    assert result.success
    found = checks_of(result)["webhook_gaps"]
    return found.passed, found.severity.value


def lose(world: World, count: int, of: int) -> list[str]:
    """Changes so many tickets, of which the first are lost, some come twice, and the newest comes;
    the ids of the lost ones."""
    ids = [ticket.ticket_id for ticket in world.helpdesk.truth()][:of]
    world.helpdesk.send_webhooks(lose=count, double=2)
    changed = world.helpdesk.change(ids=ids, spread_seconds=of)
    world.helpdesk.delivered()
    newest = max(row["modifiedTime"] for row in world.rows("tickets"))
    assert newest == changed[-1].modified_time
    return sorted(ticket.ticket_id for ticket in changed[:count])


def test_people_are_told_of_lost_webhooks_once_and_once_when_all_is_well_again(
    world: World,
    instance: dg.DagsterInstance,
    home: Path,
    people: Receiver,
    warehouse_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ALERT_URLS", people.alert_url)
    monkeypatch.setenv("ALERT_INTERVAL_SECONDS", "1")
    log = tmp_path / "daemon.log"

    def looked() -> None:
        """Wait until the sensor has begun and ended a look."""
        seen = ticks(instance)
        until(lambda: ticks(instance) > seen + 1, log)

    with daemon(home, log), listening(world.helpdesk, warehouse_settings) as time:
        assert world.sync().success
        world.helpdesk.change(1)
        assert sync(world, time) == (True, "WARN")
        until(lambda: ticks(instance) >= 1, log)

        lost = lose(world, 4, of=12)
        assert sync(world, time) == (False, "ERROR")
        assert world.missed() == lost
        until(lambda: bool(people.received), log)
        lost += lose(world, 1, of=12)
        assert sync(world, time) == (False, "WARN")
        assert world.missed() == sorted(lost)
        looked()
        assert people.titles == [GAPS]

        assert sync(world, time) == (True, "WARN")
        until(lambda: len(people.received) > 1, log)
        looked()

    began, over = people.received
    assert (began.title, began.level) == (GAPS, "failure")
    assert began.headline.startswith("ERROR: 4 of 12 changed tickets were not delivered")
    assert f"Tickets: {', '.join(lost[:4])}" in began.body.splitlines()
    assert (over.title, over.level) == (GAPS, "success")
    assert world.stored() == world.truth()
