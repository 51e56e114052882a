"""A forced run makes rows equal to the helpdesk, whatever their versions say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import Subject, ticket

FORCED: dict[str, Any] = {"forced": True, "is_staged": True}
LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize("column", ["subject", "status", "createdTime", "raw_json"])
def test_forced_run_rewrites_columns_of_equal_versions(subject: Subject, column: str) -> None:
    """Somebody has emptied one row's column, or dropped the column and added it again."""
    subject.run(ticket("1"), ticket("2"))
    before = subject.row("1"), subject.row("2")
    subject.backend.empty_column(column, ["1"])
    facts, _ = subject.run(ticket("1"), ticket("2"))
    assert (facts.unchanged, subject.row("1")[column]) == (2, None)
    facts, _ = subject.run(ticket("1"), ticket("2"), **FORCED)
    assert (facts.updated, facts.unchanged, facts.rejected) == (1, 1, 0)
    assert subject.row("1")[column] == before[0][column]
    assert subject.row("2") == before[1]


def test_forced_run_leaves_newer_rows(subject: Subject) -> None:
    subject.run(ticket("1", 10, status="new"))
    facts, _ = subject.run(ticket("1", 20, status="old"), **FORCED)
    assert (facts.updated, facts.rejected) == (0, 1)
    assert subject.row("1")["status"] == "new"


def test_forced_run_leaves_what_was_read_later(subject: Subject) -> None:
    subject.run(ticket("1", status="late"), read_at=LATER)
    subject.run(ticket("1", status="early"), read_at=NOON, **FORCED)
    assert subject.row("1")["status"] == "late"
    subject.run(
        ticket("1", created_time=None, status="late"), read_at=LATER + timedelta(hours=1), **FORCED
    )
    assert subject.row("1")["createdTime"] == ticket("1").created_time


@pytest.mark.parametrize("turned", [False, True])
def test_of_equal_times_the_version_read_later_stays(subject: Subject, turned: bool) -> None:
    """A run may be paused for hours between its reading and its MERGE."""
    runs = [("early", NOON), ("late", LATER)]
    for body, read_at in reversed(runs) if turned else runs:
        subject.run(ticket("1", body=body), read_at=read_at)
    assert "late" in str(subject.row("1")["raw_json"])


def test_reading_ahead_of_every_clock_blocks_nothing(subject: Subject) -> None:
    """One answer had a `Date` of 2099: later readings count as later all the same."""
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    subject.run(ticket("1", body="early"), ticket("2"), read_at=ahead)
    subject.run(ticket("1", body="late"), tombstone("2", LATER, {"id": "2"}), read_at=LATER)
    assert "late" in str(subject.row("1")["raw_json"])
    assert subject.row("2")["deletedTime"] == LATER
