"""What a drain merges, what it fetches, and what waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.errors import (
    AccountMismatch,
    CredentialsRefused,
    DeletionUnproven,
    EndpointFailed,
    FirstSyncNeeded,
    RateLimitExhausted,
    TicketForbidden,
    TicketUnreadable,
    WriterBusy,
)
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.webhook_events import EventKind
from helpdesk_assets.operations.drain import DrainReport, drain, may_wait
from helpdesk_assets.operations.event_chunks import chunks
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets_tests.contract.subject import event
from helpdesk_assets_tests.operations.paper_desk import (
    NOW,
    Desk,
    deletion,
    hint,
    settings,
    version,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_without_a_receiver_nothing_is_asked(desk: Desk) -> None:
    assert desk.drain() == DrainReport()
    assert desk.backend.dataset.tables == {}


def test_events_with_tickets_are_merged_without_a_call(desk: Desk) -> None:
    first, second = event(version("1", 50)), event(version("1", 40, status="closed"))
    desk.appended(second, first, event(version("2", 30)))
    report = desk.drain()
    assert (report.waiting, report.merged, report.left, report.chunks) == (3, 3, 0, 1)
    assert report.oldest == first.received_at
    row = desk.row("1")
    assert row is not None
    assert (row["status"], row["_synced_by"], row["_run_id"]) == ("closed", "webhook", "drain")
    assert row["_read_at"] == version("1", 40).modified_time
    assert set(desk.outcomes().values()) == {"merged"}
    assert desk.helpdesk.asked == []


def test_hints_of_a_ticket_are_one_fetch(desk: Desk) -> None:
    edits = [hint(version("1", minutes)) for minutes in (50, 40, 30)]
    desk.appended(*edits)
    desk.helpdesk.holds(version("1", 20, status="closed"))
    report = desk.drain()
    assert (report.merged, report.fetched) == (3, 1)
    assert desk.helpdesk.asked == ["1"]
    row = desk.row("1")
    assert row is not None
    assert (row["status"], row["_read_at"]) == ("closed", NOW)
    outcomes = desk.backend.rows(tables.WEBHOOK_OUTCOMES.name)
    assert {each["modifiedTime"] for each in outcomes} == {version("1", 20).modified_time}


def test_merged_event_is_never_merged_again(desk: Desk) -> None:
    """A copy of an old signed post, or one that a vendor sends again."""
    done = event(version("1", 50))
    desk.appended(done)
    desk.drain()
    desk.backend.delete_tickets(None)
    again = replace(done, received_at=NOW, committed_at=NOW)
    desk.appended(again, done)
    assert desk.drain(everything=True) == desk.drain()
    assert desk.row("1") is None


def test_copies_of_a_waiting_event_are_one(desk: Desk) -> None:
    once = event(version("1", 50))
    desk.appended(once, once, replace(once, received_at=NOW))
    assert desk.drain().merged == 1
    assert len(desk.outcomes()) == 1


def test_older_version_steps_nothing_back(desk: Desk) -> None:
    desk.appended(event(version("1", 10, status="new")))
    desk.drain()
    desk.appended(event(version("1", 20, status="old")))
    assert desk.drain().merged == 1
    row = desk.row("1")
    assert row is not None
    assert row["status"] == "new"


def test_deletion_of_a_known_ticket_sets_its_time(desk: Desk) -> None:
    desk.appended(event(version("1", 50)))
    desk.drain()
    gone = version("1", 5)
    desk.appended(deletion(gone, received_at=NOW - 5 * MINUTE))
    assert desk.drain().merged == 1
    row = desk.row("1")
    assert row is not None
    assert (row["subject"], row["deletedTime"]) == ("Subject 1", gone.modified_time)


def test_deletion_and_version_of_one_drain_go_together(desk: Desk) -> None:
    desk.appended(event(version("1", 50)), deletion(version("1", 5)))
    assert desk.drain().merged == 2
    row = desk.row("1")
    assert row is not None
    assert (row["subject"], row["deletedTime"]) == ("Subject 1", version("1", 5).modified_time)


def test_ticket_that_may_be_archived_keeps_its_row(desk: Desk) -> None:
    """However often its hint is asked about, and however late."""
    desk.appended(event(version("1", 50)))
    desk.drain()
    before = desk.row("1")
    desk.helpdesk.tickets = {"1": DeletionUnproven("It may be archived.")}
    desk.appended(hint(version("1", 40), event_id="hint"))
    assert desk.drain(listing_delay=timedelta(hours=2)).left == 1
    assert desk.drain(listing_delay=timedelta(minutes=15)).unknown == 1
    assert desk.row("1") == before


@pytest.mark.parametrize("kind", [EventKind.DELETION, EventKind.TICKET])
def test_deletion_of_an_unknown_ticket_leaves_no_row(desk: Desk, kind: EventKind) -> None:
    """A test of webhooks looks the same."""
    told = tombstone("4711", NOW - 5 * MINUTE, {}) if kind is EventKind.TICKET else None
    desk.appended(deletion(version("4711", 5), kind=kind, ticket=told, event_id="test"))
    report = desk.drain()
    assert (report.unknown, report.merged) == (1, 0)
    assert (desk.row("4711"), desk.outcomes()) == (None, {"test": "unknown_ticket"})


def test_deletion_of_a_living_ticket_merges_the_ticket(desk: Desk) -> None:
    """It was restored, or somebody tests webhooks with the id of a real ticket."""
    desk.appended(event(version("1", 50)))
    desk.drain()
    desk.helpdesk.holds(version("1", 2, status="restored"))
    desk.appended(deletion(version("1", 5)))
    desk.drain()
    row = desk.row("1")
    assert row is not None
    assert (row["status"], row["deletedTime"]) == ("restored", None)


def test_tombstone_of_the_helpdesk_needs_no_known_ticket(desk: Desk) -> None:
    """A fetched ticket that is deleted has existed, so the table is not asked."""
    desk.helpdesk.holds(tombstone("7", NOW - 5 * MINUTE, {}))
    desk.appended(hint(version("7", 5)))
    assert desk.drain().merged == 1
    row = desk.row("7")
    assert row is not None
    assert row["deletedTime"] == NOW - 5 * MINUTE


def test_deletion_without_a_time_is_dated_by_the_helpdesk(desk: Desk) -> None:
    """Its clock dates the edit just before, which the deletion must not look older than."""
    desk.helpdesk.clock = NOW + timedelta(seconds=90)
    edit = version("1", -1)
    desk.appended(event(edit, received_at=NOW - MINUTE))
    desk.appended(deletion(edit, modified_time=None, received_at=NOW - MINUTE))
    desk.drain()
    row = desk.row("1")
    assert row is not None
    assert row["deletedTime"] == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=90)])
def test_deletion_is_never_dated_beyond_now(desk: Desk, ahead: timedelta) -> None:
    desk.helpdesk.clock = NOW + ahead
    far, received = NOW + timedelta(days=9), {"received_at": NOW - MINUTE}
    desk.appended(event(version("1", 50)))
    desk.appended(deletion(version("1"), modified_time=far, **received))
    desk.appended(event(version("2", 50, deleted_time=far), **received))
    desk.drain()
    rows = [desk.row(ticket_id) for ticket_id in ("1", "2")]
    assert [row and row["deletedTime"] for row in rows] == [NOW + ahead] * 2


def test_absent_ticket_waits_until_lists_had_time(desk: Desk) -> None:
    """One such answer proves no deletion: a helpdesk may tell of a ticket before it shows it."""
    told = hint(version("1", 10), event_id="early")
    desk.appended(told)
    report = desk.drain(listing_delay=timedelta(minutes=15))
    assert (report.left, report.unknown, report.error) == (1, 0, None)
    assert desk.outcomes() == {}
    desk.now += timedelta(minutes=5)
    assert desk.drain(listing_delay=timedelta(minutes=15)).unknown == 1
    assert (desk.row("1"), desk.outcomes()) == (None, {"early": "unknown_ticket"})


def test_absent_ticket_that_is_shown_later_is_merged(desk: Desk) -> None:
    desk.appended(hint(version("1", 5)))
    assert desk.drain().left == 1
    desk.helpdesk.holds(version("1", 5))
    assert desk.drain().merged == 1
    assert desk.row("1") is not None


def test_hint_of_an_absent_ticket_marks_nothing_deleted(desk: Desk) -> None:
    desk.appended(event(version("1", 500)), hint(version("1", 400)))
    report = desk.drain()
    assert (report.merged, report.unknown) == (1, 1)
    row = desk.row("1")
    assert row is not None
    assert row["deletedTime"] is None


def test_hints_before_a_deletion_are_done_with_it(desk: Desk) -> None:
    """They cannot be fetched any more, and what they told of was delivered."""
    desk.appended(event(version("1", 500)))
    desk.drain()
    desk.appended(hint(version("1", 3)), deletion(version("1", 2)))
    assert desk.drain().merged == 2
    assert set(desk.outcomes().values()) == {"merged"}


def test_unreadable_ticket_is_not_stored_and_says_why(desk: Desk) -> None:
    desk.helpdesk.tickets["1"] = TicketUnreadable("Ticket 1 has no modified time.", "1")
    desk.appended(hint(version("1"), event_id="bad"), event(version("2"), event_id="good"))
    report = desk.drain()
    assert (report.merged, report.not_stored) == (1, 1)
    assert report.problems == ("Ticket 1: Ticket 1 has no modified time.",)
    assert desk.outcomes() == {"bad": "not_stored", "good": "merged"}


def test_unreadable_event_is_not_stored(desk: Desk) -> None:
    desk.appended(event(version("1"), ticket=None, event_id="bad"))
    assert desk.drain().not_stored == 1
    assert desk.outcomes() == {"bad": "not_stored"}


@pytest.mark.parametrize(
    "error",
    [EndpointFailed("down"), RateLimitExhausted("429"), CredentialsRefused("401")],
    ids=lambda error: type(error).__name__,
)
def test_outage_keeps_hints_waiting_and_merges_the_rest(desk: Desk, error: Exception) -> None:
    desk.helpdesk.tickets["1"] = error
    desk.appended(hint(version("1"), event_id="hint"), event(version("2"), event_id="whole"))
    report = desk.drain()
    assert (report.merged, report.left, report.error) == (1, 1, error)
    assert desk.outcomes() == {"whole": "merged"}
    desk.helpdesk.holds(version("1"))
    assert desk.drain().merged == 1


def test_event_waits_for_the_rights_to_its_ticket(desk: Desk) -> None:
    desk.helpdesk.tickets["1"] = TicketForbidden("403", "1")
    desk.helpdesk.lost = CredentialsRefused("403 to lists")
    desk.appended(hint(version("1"), event_id="hint"))
    report = desk.drain()
    assert (report.not_stored, report.left, report.error) == (0, 1, desk.helpdesk.lost)
    assert desk.outcomes() == {}
    desk.helpdesk.lost = None
    assert desk.drain().not_stored == 1


def test_reason_is_stored_whatever_a_ticket_holds(desk: Desk) -> None:
    """Half a character in it would have BigQuery refuse the outcome, and fail every drain."""
    desk.appended(hint(version("1")))
    desk.helpdesk.tickets["1"] = TicketUnreadable("createdTime is \ud83d", "1")
    assert desk.drain().not_stored == 1
    (row,) = desk.backend.rows(tables.WEBHOOK_OUTCOMES.name)
    assert row["reason"].encode()


def test_tickets_that_always_fail_hold_up_no_later_ones(desk: Desk) -> None:
    failing, well = [str(number) for number in range(10)], [str(number) for number in range(10, 30)]
    desk.helpdesk.tickets = dict.fromkeys(failing, EndpointFailed("500"))
    desk.helpdesk.holds(*map(version, well))
    for number, ticket_id in enumerate([*failing, *well]):
        desk.appended(hint(version(ticket_id, 50 - number), event_id=ticket_id))
    assert (desk.drain().merged, sorted(desk.outcomes())) == (20, well)


def test_hints_beyond_the_budget_wait_for_the_next(desk: Desk) -> None:
    for number in range(5):
        desk.appended(hint(version(str(number), 50 - number)))
        desk.helpdesk.holds(version(str(number)))
    report = desk.drain(most_fetches=2)
    assert (report.merged, report.left, report.fetched, report.error) == (2, 3, 2, None)
    assert {row["ticket_id"] for row in desk.backend.rows("tickets")} == {"3", "4"}
    assert desk.drain().left == 0


def test_frequent_drain_leaves_old_events_to_the_sync(desk: Desk) -> None:
    desk.appended(event(version("1", 3 * 24 * 60)), event(version("2", 5)))
    assert desk.drain().merged == 1
    assert desk.drain(everything=True).merged == 1


def test_backlog_is_merged_in_chunks_oldest_first(desk: Desk) -> None:
    events = [event(version(str(number), 50 - number)) for number in range(10)]
    desk.appended(*reversed(events))
    report = desk.drain(chunk_events=4)
    assert (report.merged, report.chunks) == (10, 3)


def test_chunk_holds_all_events_of_a_ticket() -> None:
    events = [event(version(ticket_id)) for ticket_id in "aabbbcdd"]
    assert ["".join(each.ticket_id for each in chunk) for chunk in chunks(events, 3, 10**6)] == [
        "aabbb",
        "cdd",
    ]
    endless = [event(version("a")) for _ in range(14)]
    assert [len(chunk) for chunk in chunks(endless, 3, 10**6)] == [6, 6, 2]


def test_chunk_ends_by_the_size_of_its_tickets() -> None:
    events = [event(version(str(number), body="x" * 400)) for number in range(6)]
    assert [len(chunk) for chunk in chunks(events, 100, 1_000)] == [3, 3]


def test_second_drain_without_events_reads_nothing(desk: Desk) -> None:
    desk.appended(event(version("1", 50)))
    with desk.backend.connected(settings()) as warehouse:
        assert may_wait(warehouse, everything=False)
        desk.drain(everything=True)
        warehouse.pending_events = None  # type: ignore[method-assign,assignment]
        for everything in (True, False):
            assert not may_wait(warehouse, everything=everything)
            report = desk.drain(everything=everything, warehouse=warehouse)
            assert report == DrainReport()
    desk.appended(event(version("2", 40)))
    assert desk.drain().merged == 1


def test_note_of_yesterday_does_not_speak_of_older_events(desk: Desk) -> None:
    desk.appended(event(version("1", 3 * 24 * 60)), event(version("2", 5)))
    desk.drain()
    assert desk.drain() == DrainReport()
    assert desk.drain(everything=True).merged == 1


def test_waiting_hint_is_looked_at_by_each_drain(desk: Desk) -> None:
    desk.appended(event(version("2", 40)), hint(version("1", 5)))
    for _ in range(2):
        assert desk.drain().left == 1


def test_lost_table_is_left_to_the_sync(desk: Desk) -> None:
    """An empty table in its place would look whole to whoever reads it."""
    desk.appended(event(version("1", 50)))
    with desk.backend.connected(settings()) as warehouse:
        close_a_run(desk)
        desk.backend.drop_table("tickets")
        with pytest.raises(FirstSyncNeeded, match="helpdesk-assets sync"):
            desk.drain(warehouse=warehouse)
        assert "tickets" not in desk.backend.dataset.tables
        warehouse.prepare()
    assert desk.drain().merged == 1


def test_table_of_an_older_sync_is_adopted_first(desk: Desk) -> None:
    """Its columns show the first sync how far it got."""
    desk.appended(event(version("1", 50)))
    with desk.backend.connected(settings()) as warehouse:
        warehouse.adopted_until = lambda: NOW  # type: ignore[method-assign]
        with pytest.raises(FirstSyncNeeded, match="takes it over"):
            desk.drain(warehouse=warehouse)
    assert desk.outcomes() == {}


def test_dataset_of_another_account_takes_no_webhook(desk: Desk) -> None:
    desk.helpdesk.account = "own"
    desk.appended(event(version("1", 50)))
    with desk.backend.connected(settings()) as warehouse:
        with warehouse.lease("adoption", run_id="owner"):
            warehouse.adopt(Account("paper", "other", "other.example.com"), run_id="owner")
        with pytest.raises(AccountMismatch):
            desk.drain(warehouse=warehouse)
    assert desk.row("1") is None


def test_drain_waits_for_no_other_writer(desk: Desk) -> None:
    desk.appended(event(version("1", 50)))
    with (
        desk.backend.connected(settings()) as other,
        desk.backend.connected(settings()) as warehouse,
        other.lease("backfill", run_id="other"),
        pytest.raises(WriterBusy, match="backfill"),
    ):
        drain(
            desk.helpdesk,
            warehouse,
            run_id="drain",
            everything=False,
            policy=desk.policy,
            wait=timedelta(0),
        )
    assert desk.drain().merged == 1


def close_a_run(desk: Desk) -> None:
    """A sync has filled the table."""
    state = ManualState(NOW, None, 1, "run", "set")
    with desk.backend.connected(settings()) as warehouse:
        warehouse.prepare()
        with warehouse.lease("watermark", run_id="run"):
            warehouse.set_manually(state, None)
