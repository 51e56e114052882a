from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets.cli.status import read_status
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets_tests.cli.conftest import TICKETS, Run


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """A helpdesk for this test alone, since tickets are removed."""
    with SimulatedHelpdesk(tickets=TICKETS, seed=5) as simulator:
        yield simulator


def test_range_repair_leaves_the_watermark(environment: Settings, run: Run) -> None:
    run("sync")
    before = read_status(load_settings()).state

    result = run(
        "repair", "--since", "2000-01-01T00:00:00Z", "--until", "2001-01-01T01:00:00+01:00"
    )

    assert "range asked for" in result.stdout
    assert "2000-01-01 00:00:00Z to 2001-01-01 00:00:00Z" in result.stdout
    assert read_status(load_settings()).state == before


def test_tickets_by_id(environment: Settings, run: Run, simulator: SimulatedHelpdesk) -> None:
    run("sync")
    before = read_status(load_settings()).state
    first, second = simulator.change(ids=[ticket.ticket_id for ticket in simulator.truth()][:2])

    result = run("repair", "--json", "--ids", f"{first.ticket_id}, {second.ticket_id},nobody,")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "status": "ok",
        "asked": 3,
        "merged": 2,
        "unchanged": 0,
        "rejected": 0,
        "deleted": 0,
        "not_found": 1,
        "unreadable": 0,
        "not_found_named": ["nobody"],
        "unreadable_named": [],
        "unproven": 0,
        "unproven_named": [],
    }
    assert read_status(load_settings()).state == before


def test_deleted_ticket_is_marked_on_request(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    made = next(simulator.truth())  # an old one: a new ticket may not be readable yet
    run("sync")
    simulator.delete(ids=[made.ticket_id])

    output = run("repair", "--ids", made.ticket_id).stdout
    marked = run("repair", "--json", "--mark-deleted", "--ids", made.ticket_id).stdout

    assert re.search(rf"^  not found +1: {made.ticket_id}$", output, re.MULTILINE)
    assert json.loads(marked)["deleted"] == 1


def test_unreadable_ticket_exits_with_1(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    one = next(simulator.truth()).ticket_id
    simulator.fault("bad_ticket", on="ticket", kind="bad_time", ids=[one])

    result = run("repair", "--ids", one)

    assert result.exit_code == 1
    assert f"1: Ticket {one}: modifiedTime is " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "2026-11-23T10:00:00"], "has no zone; write it like 2026-11-23T10:00:00Z"),
        (["--until", "2026-11-23"], "has no zone"),
        (["--since", "yesterday"], "not an ISO 8601 time; write it like 2026-11-23T10:00:00Z"),
        (["--ids", " , "], "names no ticket; write it like 1001,1002"),
        ([], "Give either --ids, or --since, --until"),
        (["--ids", "1", "--since", "2026-11-23T10:00:00Z"], "Give either --ids, or --since"),
        (["--since", "2026-11-23T10:00:00Z", "--mark-deleted"], "needs --ids"),
        (
            ["--since", "2026-11-23T10:00:00Z", "--until", "2026-11-23T10:00:00+01:00"],
            "--since is later than --until",
        ),
    ],
)
def test_usage_errors(
    empty_environment: Path, run: Run, arguments: list[str], complaint: str
) -> None:
    result = run("repair", *arguments)

    assert result.exit_code == 2
    assert complaint in result.stderr
