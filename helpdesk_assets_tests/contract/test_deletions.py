"""A row's content and its deletion are two facts, and neither undoes the other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import Subject, ticket

MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(hours=1)
# Lists may show a deleted ticket for 15 minutes.
SURELY_LATER = LATER + 16 * MINUTE
KEPT = ("subject", "status", "createdTime", "modifiedTime", "raw_json", "_content_hash")


@pytest.fixture(params=[False, True], ids=["inline", "staged"])
def is_staged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def gone(ticket_id: str, at: datetime = NOON) -> Ticket:
    return tombstone(ticket_id, at, {"id": ticket_id, "at": at.isoformat()})


def deleted_at(subject: Subject, ticket_id: str = "1") -> datetime | None:
    at: datetime | None = subject.row(ticket_id)["deletedTime"]
    return at


def test_tombstone_changes_only_the_deletion(subject: Subject, is_staged: bool) -> None:
    subject.run(ticket("1"), ticket("2"))
    before = subject.row("1")
    whole = ticket("2", 30, status="closed")
    facts, _ = subject.run(
        gone("1"), gone("2"), whole, gone("3"), is_staged=is_staged, read_at=LATER
    )
    after = subject.row("1")
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert (after["deletedTime"], after["_read_at"]) == (NOON, LATER)
    row = subject.row("2")
    assert (row["status"], row["deletedTime"]) == ("closed", NOON)
    assert row["modifiedTime"] == whole.modified_time
    assert (facts.inserted, facts.updated) == (1, 2)


def test_ticket_known_only_as_deleted_has_no_version(subject: Subject, is_staged: bool) -> None:
    facts, _ = subject.run(gone("1"), is_staged=is_staged)
    row = subject.row("1")
    assert (row["subject"], row["modifiedTime"], row["deletedTime"]) == (None, None, NOON)
    assert (facts.inserted, facts.null_times) == (1, 0)
    facts, _ = subject.run(gone("1"), is_staged=is_staged)
    assert (facts.updated, facts.unchanged, facts.rejected) == (0, 1, 0)
    subject.run(ticket("1"), read_at=LATER)
    assert subject.row("1")["modifiedTime"] == ticket("1").modified_time
    assert deleted_at(subject) is None


@pytest.mark.parametrize("changed", [ticket("1", 1, body="y"), ticket("1", 0, body="y")])
@pytest.mark.parametrize("is_deleted_first", [False, True])
def test_change_and_deletion_in_either_order(
    subject: Subject, changed: Ticket, is_deleted_first: bool
) -> None:
    """The change came before the deletion, or within its tick, and was read before it."""
    subject.run(ticket("1"))
    runs = [(changed, NOON + MINUTE), (gone("1"), NOON + 2 * MINUTE)]
    for told, read_at in reversed(runs) if is_deleted_first else runs:
        subject.run(told, read_at=read_at)
    row = subject.row("1")
    assert (row["modifiedTime"], row["deletedTime"]) == (changed.modified_time, NOON)
    assert "y" in str(row["raw_json"])


def test_deletion_dated_to_the_second_outlives_its_second(subject: Subject) -> None:
    subject.run(ticket("1"))
    subject.run(gone("1"), read_at=LATER)
    within = ticket("1", modified_time=NOON + timedelta(milliseconds=300))
    subject.run(within, read_at=LATER - MINUTE)
    assert deleted_at(subject) == NOON


def test_slow_run_brings_content_and_revives_nobody(subject: Subject, is_staged: bool) -> None:
    subject.run(ticket("1"))
    subject.run(gone("1"), read_at=LATER)
    newer = ticket("1", 30, status="closed")
    subject.run(newer, is_staged=is_staged, read_at=LATER - MINUTE)
    row = subject.row("1")
    assert (row["status"], row["deletedTime"], row["_read_at"]) == ("closed", NOON, LATER)


def test_version_after_the_deletion_revives(subject: Subject) -> None:
    subject.run(ticket("1"))
    subject.run(gone("1", NOON - 10 * MINUTE), read_at=LATER)
    subject.run(ticket("1", 9), read_at=NOON)
    assert deleted_at(subject) is None


@pytest.mark.parametrize(("waited", "lives"), [(14, False), (16, True)])
def test_list_revives_only_after_its_delay(
    subject: Subject, is_staged: bool, waited: int, lives: bool
) -> None:
    """Lists may show a deleted ticket for 15 minutes. Its version is the same all the time."""
    subject.run(ticket("1"))
    subject.run(gone("1"), read_at=LATER)
    facts, _ = subject.run(ticket("1"), is_staged=is_staged, read_at=LATER + waited * MINUTE)
    assert (deleted_at(subject) is None) is lives
    assert (facts.updated, facts.unchanged) == ((1, 0) if lives else (0, 1))


def test_forced_reading_revives_at_once(subject: Subject) -> None:
    subject.run(ticket("1", 30))
    subject.run(gone("1"), read_at=LATER)
    forced = {"forced": True, "is_staged": True}
    subject.run(ticket("1", 30), read_at=LATER - MINUTE, **forced)
    assert deleted_at(subject) == NOON
    subject.run(ticket("1", 30), read_at=LATER + MINUTE, **forced)
    assert deleted_at(subject) is None


def test_deletion_known_before_a_later_reading_is_ignored(subject: Subject) -> None:
    """It is told again, or late, and the ticket has been restored meanwhile."""
    subject.run(ticket("1"), ticket("2"), read_at=SURELY_LATER)
    facts, _ = subject.run(gone("1"), read_at=LATER)
    assert (facts.updated, facts.unchanged) == (0, 1)
    assert deleted_at(subject) is None


def test_deletion_before_the_version_is_ignored(subject: Subject) -> None:
    subject.run(ticket("1", 30))
    facts, _ = subject.run(gone("1", NOON - 31 * MINUTE), read_at=LATER)
    assert (facts.updated, facts.rejected) == (0, 1)
    assert deleted_at(subject) is None


def test_restored_ticket_of_one_batch_lives(subject: Subject) -> None:
    subject.run(ticket("1", 30))
    subject.run(gone("1", NOON - 31 * MINUTE), ticket("1", 29), read_at=LATER)
    assert deleted_at(subject) is None


def test_live_tickets_are_found_in_the_order_of_asking(subject: Subject) -> None:
    young = ticket("4", created_time=NOON + MINUTE)
    subject.run(ticket("1"), ticket("2"), ticket("3"), young, first_load=True)
    subject.run(gone("2"))
    asked = ["3", "nobody's", "2", "4", "1"]
    found = subject.warehouse.find_live_tickets(asked, created_by=NOON, run_id="mender")
    assert found == ["3", "1"]
