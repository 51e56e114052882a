"""How far back a run looks for the versions of its batch: each is still stored once, and found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import Subject, ticket

YEARS = timedelta(days=3 * 365)
DAY, MINUTES_A_DAY = timedelta(days=1), 24 * 60


@pytest.fixture(params=[False, True], ids=["inline", "staged"])
def is_staged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("days_later", [0, 3, 400])
@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=2000)])
def test_version_dated_in_the_future_is_stored_once(
    subject: Subject, is_staged: bool, ahead: timedelta, days_later: int
) -> None:
    """Such a ticket is in every window, beside others or alone."""
    later = NOON + days_later * DAY
    wrong = ticket("1", modified_time=max(NOON + ahead, later + timedelta(hours=1)))
    subject.run(wrong, is_staged=is_staged, read_at=NOON)
    subject.run(wrong, is_staged=is_staged, read_at=later)
    subject.run(wrong, ticket("2"), is_staged=is_staged, read_at=later)
    assert [key[0] for key in subject.versions()] == ["1", "2"]


@pytest.mark.parametrize("listed_with", [(), (ticket("2", 1),)])
def test_ticket_of_years_ago_is_listed_again(
    subject: Subject, is_staged: bool, listed_with: tuple[object, ...]
) -> None:
    old = ticket("1", 5 * 365 * MINUTES_A_DAY)
    subject.run(old, is_staged=is_staged, read_at=NOON - YEARS)
    facts, _ = subject.run(old, *listed_with, is_staged=is_staged)  # type: ignore[arg-type]
    assert facts.unchanged == 1
    assert len(subject.versions()) == 1 + len(listed_with)


def test_clock_an_hour_behind_stores_nothing_twice(subject: Subject, is_staged: bool) -> None:
    """The clock was right when the ticket changed, and set back when the version was stored."""
    changed = ticket("1", 0)
    subject.run(changed, is_staged=is_staged, read_at=NOON - timedelta(hours=1))
    facts, _ = subject.run(changed, is_staged=is_staged, read_at=NOON + timedelta(minutes=1))
    assert (facts.unchanged, len(subject.versions())) == (1, 1)


def test_version_of_a_dead_run_is_found_weeks_later(subject: Subject) -> None:
    """A run stored it and died; what merges it next must not look past it."""
    changed = ticket("1", 30 * MINUTES_A_DAY)
    manifest, spool = subject.batch(changed, read_at=NOON - 30 * DAY)
    subject.warehouse.merge_changes(manifest, spool)
    facts, _ = subject.run(changed, run_id="next")
    assert (facts.inserted, len(subject.versions())) == (1, 1)


def test_batch_without_known_times_looks_everywhere(subject: Subject) -> None:
    changed = ticket("1", 10)
    subject.run(changed, read_at=NOON - YEARS)
    facts, _ = subject.run(changed, oldest_modified=None)
    assert (facts.unchanged, len(subject.versions())) == (1, 1)
