"""From lost webhooks to alerts over HTTP.

The helpdesk's posts, our receiver, the sync in Dagster, and a real daemon.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.alerts.alert_server import TOKEN, AlertServer
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of
from helpdesk_assets_tests.defs.real_daemon import daemon, ticks, until
from helpdesk_assets_tests.end_to_end.subscribed_receiver import SharedClock, subscribed_receiver
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE

GAPS = "helpdesk-assets: missed_updates.webhook_gaps"


def sync(harness: DagsterHarness, time: SharedClock) -> tuple[bool, str]:
    """Run the sync once all changes are old enough; returns the result of `webhook_gaps`."""
    time.advance(SECONDS_PAST_GRACE)
    result = harness.sync()
    assert result.success
    found = checks_of(result)["webhook_gaps"]
    return found.passed, found.severity.value


def change_and_lose_webhooks(harness: DagsterHarness, count: int, of: int) -> list[str]:
    """Change tickets; returns the ids of those whose webhooks are lost.

    The first webhooks are lost, some are doubled, and the newest arrives.
    """
    ids = [ticket.ticket_id for ticket in harness.helpdesk.truth()][:of]
    harness.helpdesk.send_webhooks(lose=count, double=2)
    changed = harness.helpdesk.change(ids=ids, spread_seconds=of)
    harness.helpdesk.webhook_status()
    newest = max(row["modifiedTime"] for row in harness.rows("webhook_events"))
    assert newest == changed[-1].modified_time
    return sorted(ticket.ticket_id for ticket in changed[:count])


@pytest.mark.slow
def test_lost_webhooks_and_recovery_are_each_alerted_once(
    harness: DagsterHarness,
    instance: dg.DagsterInstance,
    home: Path,
    alert_server: AlertServer,
    warehouse_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    monkeypatch.setenv("ALERT_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{alert_server.address}/{TOKEN}")
    monkeypatch.setenv("DAGSTER_UI_URL", "http://127.0.0.1:3000")
    log = tmp_path / "daemon.log"

    def looked() -> None:
        """Wait until the sensor has started and finished a tick."""
        seen = ticks(instance)
        until(lambda: ticks(instance) > seen + 1, log)

    with subscribed_receiver(harness.helpdesk, warehouse_settings) as time:
        with daemon(home, log):
            assert harness.sync().success
            harness.helpdesk.change(1)
            assert sync(harness, time) == (True, "WARN")
            until(lambda: ticks(instance) >= 1, log)

            lost = change_and_lose_webhooks(harness, 4, of=12)
            assert sync(harness, time) == (False, "ERROR")
            assert harness.missed() == lost
            until(lambda: bool(alert_server.received), log)
            # A daemon that dies between sending and saving its cursor sends again, as it should.
            looked()
        heartbeats = len(alert_server.heartbeats)

        # Another process, which has only the instance's stored state.
        with daemon(home, log):
            lost += change_and_lose_webhooks(harness, 1, of=12)
            assert sync(harness, time) == (False, "WARN")
            assert harness.missed() == sorted(lost)
            looked()
            assert alert_server.titles == [GAPS]

            assert sync(harness, time) == (True, "WARN")
            until(lambda: len(alert_server.received) > 1, log)
            looked()

    began, over = alert_server.received
    assert (began.title, began.level) == (GAPS, "failure")
    assert began.headline.startswith("ERROR: 4 of 12 changed tickets were not delivered")
    lines = began.body.splitlines()
    assert {"missed 4", "changes 12"} <= set(lines[1].split(", "))
    assert lines[2] == f"Tickets: {', '.join(lost[:4])}"
    assert lines[4].startswith("http://127.0.0.1:3000/runs/")
    assert (over.title, over.level) == (GAPS, "success")
    assert len(alert_server.heartbeats) > heartbeats > 0
    assert TOKEN not in log.read_text()
    assert harness.stored() == harness.truth()
