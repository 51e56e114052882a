from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from helpdesk_assets.cli.connections import open_warehouse
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers import registry
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.cli.conftest import TICKETS, Run


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """A helpdesk for this test alone, since tickets are removed and its clock is moved."""
    with SimulatedHelpdesk(tickets=TICKETS, seed=5) as simulator:
        yield simulator


def delete_one_row(simulator: SimulatedHelpdesk) -> str:
    one = next(simulator.truth()).ticket_id
    with open_warehouse(load_settings()) as warehouse:
        table = warehouse.dataset.table("tickets")
        warehouse.run(
            Query(f"DELETE FROM {table} WHERE ticket_id = '{one}'"), run_id="tamper", step="tamper"
        )
    return one


def test_dry_run_then_repair_then_no_differences(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    run("sync")
    simulator.advance(3600)
    lost = delete_one_row(simulator)

    look = run("reconcile", "--dry-run")
    repair = run("reconcile", "--json")
    again = run("reconcile")

    assert [result.exit_code for result in (look, repair, again)] == [0, 0, 0]
    assert re.search(rf"absent, found +1: {lost}\s", look.stdout)
    report = json.loads(repair.stdout)
    assert (report["status"], report["tickets_listed"], report["repaired"]) == ("ok", TICKETS, 1)
    assert report["differences"] == [
        {"kind": "absent", "outcome": "repaired", "count": 1, "ticket_ids": [lost]}
    ]
    assert f"The table equals the {TICKETS} tickets that the helpdesk lists." in again.stdout


def test_reconciliation_takes_its_share_of_the_limits(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, make = [], registry.make_helpdesk

    def record(settings: Settings) -> Helpdesk:
        opened.append(settings)
        return make(settings)

    monkeypatch.setenv("HELPDESK_CALLS_PER_MINUTE", "1000")
    run("sync")
    monkeypatch.setattr(registry, "make_helpdesk", record)
    assert run("reconcile").exit_code == 0
    monkeypatch.setenv("HELPDESK_RECONCILE_SHARE", "0.2")
    assert run("reconcile").exit_code == 0
    assert [one.helpdesk_calls_per_minute for one in opened] == [500, 200]


def test_remaining_differences_exit_with_1(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = simulator.create(1)
    run("sync")
    simulator.delete(ids=[made.ticket_id])
    simulator.advance(3600)
    monkeypatch.setenv("RECONCILE_MOST_GONE_SHARE", "0")

    result = run("reconcile")

    assert result.exit_code == 1
    assert re.search(rf"gone, left +1: {made.ticket_id}\s", result.stdout)
    assert "more than the 0 that RECONCILE_MOST_GONE_SHARE allows at once" in result.stdout


def test_before_the_first_sync_gives_one_line(environment: Settings, run: Run) -> None:
    result = run("reconcile", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: There is no watermark yet")
