"""The desk as a whole: what it remembers when it is opened again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.local.simulator.helpdesk import Desk, End, Fate


def test_a_helpdesk_opened_again_has_the_same_past() -> None:
    opened = datetime(2026, 11, 1, tzinfo=UTC)
    first = Desk(50, seed=3, start=opened)
    again = Desk(50, seed=3, start=opened + timedelta(days=7), history_until=opened)
    assert list(again.store.modified_between(0, 1 << 40, 0, 50, None).versions) == list(
        first.store.modified_between(0, 1 << 40, 0, 50, None).versions
    )
    assert again.clock.now() - first.clock.now() >= timedelta(days=6)


def test_what_is_removed_is_gone_and_dated_by_it() -> None:
    desk = Desk(10, seed=3, frozen=True)
    first, second, into, *_ = desk.store.ids()
    before = desk.find(first)
    desk.clock.advance(timedelta(seconds=90))
    (left,) = desk.remove([first])
    desk.remove([second], End.MERGED, into)
    now = desk.clock.tick()
    assert before is not None
    assert left == before._replace(modified=now, revision=before.revision + 1)
    assert desk.store.get(first) is None
    assert desk.gone.ids() == [first, second]
    assert desk.find(first) == left
    assert desk.fates == {first: Fate(End.DELETED, now, None), second: Fate(End.MERGED, now, into)}
    assert not set(desk.choose(100)) & {first, second}


def test_what_is_archived_lives_as_it_was() -> None:
    desk = Desk(10, seed=3)
    chosen = desk.choose(4)
    before = [desk.store.get(each) for each in chosen]
    desk.archive(chosen)
    assert desk.archived == set(chosen)
    assert [desk.store.get(each) for each in chosen] == before


def test_a_silent_change_moves_the_order_and_not_what_is_shown() -> None:
    desk = Desk(10, seed=3, frozen=True)
    (ticket_id,) = desk.choose(1)
    before = desk.find(ticket_id)
    assert before is not None
    desk.clock.advance(timedelta(days=1))
    (silent,) = desk.change([ticket_id], {"status": "x"}, silent=True)
    assert (silent.modified, silent.shown_time) == (desk.clock.tick(), before.modified)
    assert desk.whole(silent)["modifiedTime"] == desk.whole(before)["modifiedTime"]
    (again,) = desk.change([ticket_id], silent=True)
    assert again.shown_time == before.modified
    (told,) = desk.change([ticket_id])
    assert told.shown_time == told.modified == desk.clock.tick()


def test_a_body_is_without_what_was_set_by_name() -> None:
    desk = Desk(3, seed=3)
    (changed,) = desk.change(desk.choose(1), {"subject": "set", "own": 1})
    body, whole = desk.body(changed), desk.whole(changed)
    assert "own" not in body
    assert body["subject"] != "set"
    assert {**body, "subject": "set", "own": 1} == whole
