"""Every command that writes tickets takes the lease, waits for it, and says so."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.stores import writer_lease
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.cli.conftest import Run
from helpdesk_assets_tests.leases import WatchedWrites

COMMANDS = {
    "sync": "sync",
    "sync --full": "sync",
    "repair --ids {ids}": "repair",
    "repair --since 2000-01-01T00:00:00Z": "repair",
    "reconcile": "reconciliation",
    "watermark set 2001-01-01T00:00:00Z --yes": "watermark",
    "sync --adopt-account": "adoption",
}


@pytest.fixture
def synced(environment: Settings, run: Run) -> Settings:
    assert run("sync").exit_code == 0
    return environment


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_writes_with_the_lease(
    synced: Settings,
    run: Run,
    simulator: SimulatedHelpdesk,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connected(synced) as tables:
        table = tables._client.dataset.table("tickets")
        tables._client._client.query(f"DELETE FROM {table} WHERE TRUE").result()
        if command.endswith("account"):
            state = tables._client.dataset.table("sync_state")
            tables._client._client.query(
                f"UPDATE {state} SET account = 'another' WHERE TRUE"
            ).result()
    watched = WatchedWrites(monkeypatch)
    ids = ",".join(ticket.ticket_id for ticket in list(simulator.truth())[:2])
    run(*command.format(ids=ids).split())
    assert watched.tables
    assert watched.unleased == []
    assert COMMANDS[command] in watched.purposes


@pytest.mark.parametrize("command", ["sync", "watermark set 2001-01-01T00:00:00Z --yes"])
def test_command_says_for_whom_it_waits(
    synced: Settings, run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lease, "DEFAULT_WAIT", timedelta(0))
    with connected(synced) as tables, tables.lease("backfill", run_id="1a2b3c4d5e"):
        result = run(*command.split())
        shown = run("status", "--json")
        people = run("status")
        checked = run("doctor")
    assert result.exit_code == 1
    assert "Writing tickets: backfill run 1a2b3c4d on " in result.stderr
    assert "Run it again" in result.stderr
    assert json.loads(shown.stdout)["writer"].startswith("backfill run 1a2b3c4d on ")
    assert "which has been writing for" in people.stdout
    assert "writer of tickets: backfill run 1a2b3c4d on " in checked.stdout
    assert "writer of tickets: nobody just now" in run("doctor").stdout
