"""What `doctor` and `reconcile` say of tickets that a login does not see, or that no list has."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import Run


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=0, dialect="freshdesk") as simulator:
        simulator.create(ids=[str(number) for number in range(1, 1200)])
        simulator.advance(1)
        simulator.create(ids=["1200"])
        simulator.archive(ids=["1", "2"])
        simulator.advance(3600)
        yield simulator


@pytest.fixture(autouse=True)
def provider(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_PROVIDER", "freshdesk")


def line(output: str, subject: str) -> str:
    (found,) = [row for row in output.splitlines() if f" {subject}: " in row]
    return found


def test_doctor_names_the_newest_ticket_and_the_setting(run: Run) -> None:
    result = run("doctor")
    found = line(result.stdout, "helpdesk archive")
    assert found.startswith("ok")
    assert "the newest ticket has the number 1,200." in found
    assert "FRESHDESK_ARCHIVE=true" in found
    assert found.endswith("The plan allows that.")


@pytest.mark.parametrize("asks", ["true", "false"])
def test_doctor_says_what_is_in_order_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    monkeypatch.setenv("FRESHDESK_ARCHIVE", asks)
    told = run("doctor").stdout
    assert line(told, "helpdesk view") == "ok      helpdesk view: the login sees every ticket"
    assert line(told, "helpdesk archive").startswith("ok")
    assert "The plan allows that." in line(told, "helpdesk archive")


def test_doctor_says_that_a_plan_has_no_archive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", False)
    assert "Here nobody can:" in line(run("doctor").stdout, "helpdesk archive")


def test_doctor_warns_of_an_agent_with_a_scope(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreshdeskDialect, "ticket_scope", 3)
    result = run("doctor")
    found = line(result.stdout, "helpdesk view")
    assert (result.exit_code, found.partition(" ")[0]) == (0, "warning")
    assert "give it the scope Global access" in found
    assert "marks none as deleted" in found


def test_reconcile_prints_what_no_list_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("sync")
    assert "2 of the 1,200 ids are not listed." in run("reconcile").stdout
    monkeypatch.setenv("FRESHDESK_ARCHIVE", "true")
    report = json.loads(run("reconcile", "--json").stdout)
    assert report["archive"] == {
        "newest": 1200,
        "not_listed": 2,
        "asked_up_to": 1200,
        "added": 2,
        "stopped": None,
    }
    assert report["status"] == "ok"
