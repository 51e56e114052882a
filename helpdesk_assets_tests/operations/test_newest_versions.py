"""What the events of one ticket say together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import ReadTicket
from helpdesk_assets.operations.newest_versions import as_told, newest_versions, not_after
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.operations.paper_desk import NOW, version

SECOND = timedelta(seconds=1)


def gone(ticket_id: str, minutes_ago: float) -> Ticket:
    return tombstone(ticket_id, NOW - timedelta(minutes=minutes_ago), {"gone": ticket_id})


def read(each: Ticket, after: float = 0) -> ReadTicket:
    return ReadTicket(each, each.modified_time + after * SECOND)


def test_newest_of_a_group_wins_and_ties_go_last() -> None:
    late = read(version("1", 2, status="closed"))
    other = read(version("2", 5))
    group = [read(version("1", 2)), late, read(version("1", 9)), other]
    assert newest_versions(group) == [late, other]
    assert newest_versions([read(version("1", 2), after=1), late]) == [
        read(version("1", 2), after=1)
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_version_takes_the_deletion_of_its_group(turned: bool) -> None:
    group = [read(version("1", 9)), read(gone("1", 2))]
    (found,) = newest_versions(reversed(group) if turned else group)
    assert (found.ticket.subject, found.ticket.tombstone) == ("Subject 1", False)
    assert found.ticket.deleted_time == found.read_at == gone("1", 2).modified_time
    assert found.ticket.modified_time == version("1", 9).modified_time


def test_version_after_the_deletion_stays_alive() -> None:
    restored = read(version("1", 2))
    assert newest_versions([read(gone("1", 9)), restored]) == [restored]
    seen_later = read(version("1", 9), after=3600)
    assert newest_versions([read(gone("1", 2)), seen_later]) == [seen_later]


def test_deletion_alone_stays_a_tombstone() -> None:
    assert newest_versions([read(gone("1", 9)), read(gone("1", 2))]) == [read(gone("1", 2))]


@pytest.mark.parametrize(
    ("received", "read_at"),
    [(-60, 9), (20, 20), (86_400, 9 + 15 * 60), (-86_400, -86_400 + 15 * 60)],
    ids=["clock behind", "in time", "late", "dated in the future"],
)
def test_deletion_is_known_soon_after_it(received: float, read_at: float) -> None:
    deleted = tombstone("1", NOW + 9 * SECOND, {})
    assert as_told(deleted, NOW + received * SECOND).read_at == NOW + read_at * SECOND


def test_version_counts_as_read_when_it_changed() -> None:
    late = as_told(version("1", 60), NOW)
    assert late == ReadTicket(version("1", 60), version("1", 60).modified_time)


def test_no_deletion_is_dated_beyond_now() -> None:
    whole = version("1", 60, deleted_time=NOW + SECOND)
    assert not_after(whole, NOW).deleted_time == NOW
    assert not_after(whole, NOW).modified_time == whole.modified_time
    told = not_after(tombstone("1", NOW + SECOND, {}), NOW)
    assert told.modified_time == told.deleted_time == NOW
    for each in (version("1"), gone("1", 1)):
        assert not_after(each, NOW) == each
