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
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.webhooks import MissedUpdate

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSED = CheckRunResult("webhook_gaps", passed=True, severity="WARN", description="")
WARNED = replace(PASSED, passed=False)


def changed(number: int) -> TrueTicket:
    return TrueTicket(str(number), NOON, NOON + timedelta(minutes=number))


def missed(number: int) -> MissedUpdate:
    return MissedUpdate(str(number), NOON, "stale", 600.0)


CHANGE_COUNT = Changes(lost=(changed(1), changed(4)), delivered=(changed(2), changed(3)))
FIRST = SyncRunResult("full", 9, RunCounts(), 1, 4, 1, 0.1, 2.0, (PASSED,))
FOUND = RunCounts(missed_total=2, missed=(missed(4), missed(1)))
SECOND = replace(FIRST, mode="incremental", facts=FOUND, checks=(WARNED,))
STORY = DemoResult(9, FIRST, CHANGE_COUNT, SECOND, Comparison(tickets=9, rows=9))


def test_expected_outcome_has_no_surprises() -> None:
    assert list(find_mismatches(STORY)) == []
    assert [ticket.ticket_id for ticket in CHANGE_COUNT.hidden] == ["1"]


@pytest.mark.parametrize(
    ("story", "surprise"),
    [
        (replace(STORY, first=replace(FIRST, mode="incremental")), "mode of the first sync"),
        (replace(STORY, tickets=10), "tickets of the first sync: 9, expected 10"),
        (replace(STORY, first=replace(FIRST, checks=(WARNED,))), "failed checks of the first"),
        (replace(STORY, second=replace(SECOND, mode="full")), "mode of the second sync"),
        (replace(STORY, second=replace(SECOND, api_calls=2)), "API calls of the second sync: 2"),
        (
            replace(STORY, second=replace(SECOND, facts=replace(FOUND, missed=(missed(1),)))),
            "missed updates that were found: ['1'], expected ['1', '4']",
        ),
        (
            replace(STORY, second=replace(SECOND, facts=replace(FOUND, missed_total=3))),
            "count of missed updates",
        ),
        (replace(STORY, second=replace(SECOND, checks=(PASSED,))), "failed checks of the second"),
        (
            replace(STORY, comparison=Comparison(tickets=9, rows=9, different_content=["5"])),
            "differences between table and helpdesk: {'different content': ['5']}",
        ),
        (replace(STORY, comparison=Comparison(tickets=9, rows=8)), "rows of the table"),
    ],
)
def test_every_unexpected_result_is_named(story: DemoResult, surprise: str) -> None:
    (reported,) = find_mismatches(story)

    assert reported.startswith(surprise)
