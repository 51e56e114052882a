"""The demo fails if any of its expectations is not met."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.local.demo.compare import Comparison
from helpdesk_assets.local.demo.results import (
    Changes,
    CheckRunResult,
    DemoResult,
    SyncRunResult,
    find_mismatches,
)
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.webhooks import MissedUpdate

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSED = CheckRunResult("webhook_gaps", passed=True, severity="WARN", description="")
WARNED = replace(PASSED, passed=False)


def changed(number: int) -> TrueTicket:
    return TrueTicket(str(number), NOON, NOON + timedelta(minutes=number))


def missed(number: int) -> MissedUpdate:
    return MissedUpdate(str(number), NOON, "stale", 600.0)


CHANGES = Changes(lost=(changed(1), changed(4)), delivered=(changed(2), changed(3)))
FIRST = SyncRunResult("full", 9, RunCounts(), 1, 4, 1, 0.1, 2.0, (PASSED,))
FOUND = RunCounts(missed_total=2, missed=(missed(4), missed(1)))
SECOND = replace(FIRST, mode="incremental", facts=FOUND, checks=(WARNED,))
EXPECTED = DemoResult(9, FIRST, CHANGES, SECOND, Comparison(tickets=9, rows=9))


def test_expected_result_has_no_mismatches() -> None:
    assert list(find_mismatches(EXPECTED)) == []
    assert [ticket.ticket_id for ticket in CHANGES.hidden] == ["1"]


@pytest.mark.parametrize(
    ("demo_result", "mismatch"),
    [
        (replace(EXPECTED, first=replace(FIRST, mode="incremental")), "mode of the first sync"),
        (replace(EXPECTED, tickets=10), "tickets of the first sync: 9, expected 10"),
        (replace(EXPECTED, first=replace(FIRST, checks=(WARNED,))), "failed checks of the first"),
        (replace(EXPECTED, second=replace(SECOND, mode="full")), "mode of the second sync"),
        (replace(EXPECTED, second=replace(SECOND, api_calls=2)), "API calls of the second sync: 2"),
        (
            replace(EXPECTED, second=replace(SECOND, facts=replace(FOUND, missed=(missed(1),)))),
            "missed updates that were found: ['1'], expected ['1', '4']",
        ),
        (
            replace(EXPECTED, second=replace(SECOND, facts=replace(FOUND, missed_total=3))),
            "count of missed updates",
        ),
        (
            replace(EXPECTED, second=replace(SECOND, checks=(PASSED,))),
            "failed checks of the second",
        ),
        (
            replace(EXPECTED, comparison=Comparison(tickets=9, rows=9, different_content=["5"])),
            "differences between table and helpdesk: {'different content': ['5']}",
        ),
        (replace(EXPECTED, comparison=Comparison(tickets=9, rows=8)), "rows of the table"),
    ],
)
def test_every_unexpected_result_is_named(demo_result: DemoResult, mismatch: str) -> None:
    (reported,) = find_mismatches(demo_result)

    assert reported.startswith(mismatch)
