"""From a webhook that never came to a message that did: our checks, a real Dagster daemon on SQLite
as `make dev` has it, and people who are told over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets_tests.alerts.alert_server import TOKEN, AlertServer
from helpdesk_assets_tests.defs.conftest import DagsterHarness
from helpdesk_assets_tests.defs.real_daemon import daemon, make_home, ticks, until
from helpdesk_assets_tests.defs.webhook_io_manager import deliver

GAPS = "helpdesk-assets: missed_updates.webhook_gaps"


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    with AlertServer() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = make_home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as kept:
        yield kept


def test_lost_webhook_and_recovery_are_each_reported_once(
    harness: DagsterHarness,
    instance: dg.DagsterInstance,
    home: Path,
    alert_server: AlertServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    monkeypatch.setenv("ALERT_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{alert_server.address}/{TOKEN}")
    monkeypatch.setenv("DAGSTER_UI_URL", "http://127.0.0.1:3000")
    log = tmp_path / "daemon.log"
    harness.sync()
    with daemon(home, log):
        until(lambda: ticks(instance) >= 1, log)

        harness.helpdesk.advance(3600)
        changed = harness.helpdesk.change(ids=[t.ticket_id for t in harness.helpdesk.truth()])
        lost = sorted(ticket.ticket_id for ticket in changed)[:3]
        deliver(harness, [t.ticket_id for t in changed if t.ticket_id not in lost])
        harness.helpdesk.advance(600)
        run_id = harness.sync().run_id
        until(lambda: bool(alert_server.received), log)
        # A daemon that ends between sending and saving its cursor rightly sends again.
        seen = ticks(instance)
        until(lambda: ticks(instance) > seen, log)

    # Another process, which knows only what the instance has kept.
    with daemon(home, log):
        seen = ticks(instance)
        until(lambda: ticks(instance) > seen + 1, log)
        assert alert_server.titles == [GAPS]
        harness.helpdesk.advance(600)
        harness.sync()
        until(lambda: len(alert_server.received) > 1, log)
        seen = ticks(instance)
        until(lambda: ticks(instance) > seen, log)

    began, over = alert_server.received
    assert (began.title, began.level) == (GAPS, "warning")
    lines = began.body.splitlines()
    assert lines[0].startswith("WARN: 3 of 40 changed tickets were not delivered by a webhook.")
    assert {"missed 3", "changes 40", "share 0.075"} <= set(lines[1].split(", "))
    assert lines[2] == f"Tickets: {', '.join(lost)}"
    assert lines[4] == f"http://127.0.0.1:3000/runs/{run_id}"
    assert (over.title, over.level) == (GAPS, "success")
    assert len(alert_server.heartbeats) == 2
    assert TOKEN not in log.read_text()
