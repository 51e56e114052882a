"""The helpdesk as a whole, and its tickets after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, Removal, RemovalKind


def test_reopened_helpdesk_has_the_same_history() -> None:
    opened = datetime(2026, 11, 1, tzinfo=UTC)
    first = HelpdeskBackend(50, seed=3, start=opened)
    again = HelpdeskBackend(50, seed=3, start=opened + timedelta(days=7), history_until=opened)
    assert list(again.store.modified_between(0, 1 << 40, 0, 50, None).versions) == list(
        first.store.modified_between(0, 1 << 40, 0, 50, None).versions
    )
    assert again.clock.now() - first.clock.now() >= timedelta(days=6)


def test_removed_tickets_are_dated_by_their_removal() -> None:
    helpdesk = HelpdeskBackend(10, seed=3, frozen=True)
    first, second, into, *_ = helpdesk.store.ids()
    before = helpdesk.find(first)
    helpdesk.clock.advance(timedelta(seconds=90))
    (left,) = helpdesk.remove([first])
    helpdesk.remove([second], RemovalKind.MERGED, into)
    now = helpdesk.clock.tick()
    assert before is not None
    assert left == before._replace(modified=now, revision=before.revision + 1)
    assert helpdesk.store.get(first) is None
    assert helpdesk.removed.ids() == [first, second]
    assert helpdesk.find(first) == left
    assert helpdesk.removals == {
        first: Removal(RemovalKind.DELETED, now, None),
        second: Removal(RemovalKind.MERGED, now, into),
    }
    assert not set(helpdesk.choose(100)) & {first, second}


def test_archived_tickets_stay_unchanged() -> None:
    helpdesk = HelpdeskBackend(10, seed=3)
    chosen = helpdesk.choose(4)
    before = [helpdesk.store.get(each) for each in chosen]
    helpdesk.archive(chosen)
    assert helpdesk.archived == set(chosen)
    assert [helpdesk.store.get(each) for each in chosen] == before


def test_silent_change_moves_the_order_not_the_shown_time() -> None:
    helpdesk = HelpdeskBackend(10, seed=3, frozen=True)
    (ticket_id,) = helpdesk.choose(1)
    before = helpdesk.find(ticket_id)
    assert before is not None
    helpdesk.clock.advance(timedelta(days=1))
    (silent,) = helpdesk.change([ticket_id], {"status": "x"}, silent=True)
    assert (silent.modified, silent.visible_modified) == (helpdesk.clock.tick(), before.modified)
    assert (
        helpdesk.raw_ticket(silent)["modifiedTime"] == helpdesk.raw_ticket(before)["modifiedTime"]
    )
    (again,) = helpdesk.change([ticket_id], silent=True)
    assert again.visible_modified == before.modified
    (version,) = helpdesk.change([ticket_id])
    assert version.visible_modified == version.modified == helpdesk.clock.tick()


def test_body_excludes_overridden_fields() -> None:
    helpdesk = HelpdeskBackend(3, seed=3)
    (changed,) = helpdesk.change(helpdesk.choose(1), {"subject": "set", "own": 1})
    body, raw_ticket = helpdesk.body(changed), helpdesk.raw_ticket(changed)
    assert "own" not in body
    assert body["subject"] != "set"
    assert {**body, "subject": "set", "own": 1} == raw_ticket
