"""Events between receiver and drain: which wait, what they bring, and what they deliver."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import DataRefused
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import (
    EventKind,
    EventOutcome,
    Outcome,
    ReadTicket,
    WebhookEvent,
)
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import POLICY, Subject, event, ticket

MINUTE = timedelta(minutes=1)


def hint(change: Ticket, **changed: object) -> WebhookEvent:
    return event(change, **{"kind": EventKind.HINT, "ticket": None, **changed})


def outcome(of: WebhookEvent, **changed: object) -> EventOutcome:
    plain = EventOutcome(
        of.event_id, of.ticket_id, of.received_at, Outcome.MERGED, None, None, NOON, "drain"
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def read(*versions: Ticket) -> list[ReadTicket]:
    return [ReadTicket(each, each.modified_time) for each in versions]


def test_nothing_waits_without_a_receiver(subject: Subject) -> None:
    assert not subject.warehouse.has_webhook_events()
    subject.append(hint(ticket("1")))
    assert subject.warehouse.has_webhook_events()


def test_events_wait_with_what_they_bring(subject: Subject) -> None:
    bringing, named = event(ticket("1", 50, body="é\n")), hint(ticket("2", 40))
    gone = replace(bringing, event_id="gone", kind=EventKind.DELETION, ticket=None)
    subject.append(bringing, named, gone)
    assert subject.pending() == [bringing, gone, named]


@pytest.mark.parametrize("absent", [None, ""])
def test_rows_without_ids_are_no_events(subject: Subject, absent: Any) -> None:
    """Somebody else may write into the table; such a row must not stop every drain."""
    whole = hint(ticket("1", 40))
    subject.append(
        replace(hint(ticket("2", 50)), event_id=absent),
        replace(event(ticket("3", 50)), ticket_id=absent),
        whole,
    )
    assert subject.pending() == [whole]


def test_events_come_by_ticket_in_order_of_arrival(subject: Subject) -> None:
    first, second = event(ticket("9", 50)), event(ticket("1", 40))
    again, tie = event(ticket("9", 10), event_id="b"), event(ticket("9", 10), event_id="a")
    subject.append(again, second, tie, first)
    assert subject.pending() == [first, tie, again, second]


def test_doubled_event_waits_once_as_it_first_came(subject: Subject) -> None:
    once, other = event(ticket("1", 50)), event(ticket("1", 40))
    later = replace(once, received_at=NOON, committed_at=NOON)
    subject.append(later, once, once, other)
    assert subject.pending() == [once, other]


def test_event_with_an_outcome_waits_no_more(subject: Subject) -> None:
    done, waiting = event(ticket("1", 50)), event(ticket("2", 40))
    subject.append(done, waiting)
    for _ in range(2):
        subject.warehouse.record_outcomes([outcome(done)])
    assert subject.pending() == [waiting]


def test_event_sent_again_days_later_has_its_outcome(subject: Subject) -> None:
    """Of which the frequent drain reads neither the first arrival nor that day."""
    done = event(ticket("1", 50), received_at=NOON - timedelta(days=5))
    subject.append(done)
    subject.warehouse.record_outcomes([outcome(done)])
    subject.append(replace(done, received_at=NOON, committed_at=NOON))
    assert subject.pending(NOON - timedelta(days=1)) == []


def test_same_id_of_another_ticket_is_another_event(subject: Subject) -> None:
    one, other = event(ticket("1", 50), event_id="e"), event(ticket("2", 40), event_id="e")
    subject.append(one, other)
    subject.warehouse.record_outcomes([outcome(one)])
    assert subject.pending() == [other]


def test_events_before_the_time_are_left_out(subject: Subject) -> None:
    old, new = event(ticket("1", 50)), event(ticket("2", 40))
    subject.append(old, new)
    assert subject.pending(new.received_at) == [new]


def test_unreadable_event_waits_without_its_ticket(subject: Subject) -> None:
    broken, odd = event(ticket("1", 50)), event(ticket("2", 40))
    subject.append(broken, odd)
    subject.backend.double_rows(
        "webhook_events", ticket='{"no": "ticket"}', event_id="broken", kind="ticket"
    )
    subject.backend.double_rows("webhook_events", kind="riddle", event_id="odd", ticket=None)
    found = {each.event_id: each for each in subject.pending() if each.ticket is None}
    assert {name: each.kind for name, each in found.items()} == {
        "broken": EventKind.TICKET,
        "odd": EventKind.TICKET,
    }


def test_only_tickets_with_a_row_are_known(subject: Subject) -> None:
    subject.warehouse.merge_webhooks(read(ticket("1")), run_id="drain")
    assert subject.warehouse.known_tickets(["1", "2"], run_id="r") == {"1"}
    assert subject.warehouse.known_tickets([], run_id="r") == frozenset()


def test_older_webhooks_and_deletions_change_nothing(subject: Subject) -> None:
    merge = subject.warehouse.merge_webhooks
    merge(read(ticket("1", 10, status="new")), run_id="first")
    before = subject.row("1")
    merge(read(ticket("1", 20, status="old")), run_id="second")
    merge(read(tombstone("1", NOON - 30 * MINUTE, {})), run_id="third")
    assert subject.row("1") == before
    assert (before["_synced_by"], before["_run_id"]) == ("webhook", "first")


def test_deletion_keeps_the_other_columns(subject: Subject) -> None:
    merge, gone_at = subject.warehouse.merge_webhooks, NOON - 5 * MINUTE
    merge(read(ticket("1", 10), ticket("2", 10)), run_id="first")
    before = subject.row("1")
    merge(read(tombstone("1", gone_at, {}), ticket("2", 5)), run_id="second")
    after = subject.row("1")
    assert after["deletedTime"] == gone_at
    kept = ("subject", "status", "createdTime", "modifiedTime", "raw_json", "_first_synced_at")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert (subject.row("2")["deletedTime"], subject.row("2")["_run_id"]) == (None, "second")


def test_webhook_writes_no_version_and_no_row_twice(subject: Subject) -> None:
    for _ in range(2):
        subject.warehouse.merge_webhooks(read(ticket("1")), run_id="drain")
    assert subject.versions() == []
    assert len(subject.backend.rows("tickets")) == 1


def test_closed_run_of_any_sync_is_known(subject: Subject) -> None:
    assert not subject.warehouse.has_closed()
    subject.run(ticket("1"))
    other = subject.settings.model_copy(update={"sync_name": "other"})
    with subject.backend.connected(other) as warehouse:
        assert warehouse.has_closed()


def test_mark_changes_with_each_event_and_is_noted(subject: Subject) -> None:
    warehouse = subject.warehouse
    done = event(ticket("1", 50))
    subject.append(done)
    first = warehouse.events_mark()
    assert first == warehouse.events_mark() is not None
    warehouse.record_outcomes([outcome(done)])
    warehouse.note_drained(f"all-{first}")
    assert warehouse.drained_mark() == f"all-{first}"
    subject.append(event(ticket("2", 40)))
    assert warehouse.events_mark() != first
    assert warehouse.drained_mark() == f"all-{first}"


# The ledger: which events deliver a change, and which change it is.


@pytest.mark.parametrize("refused", [Outcome.UNKNOWN_TICKET, Outcome.NOT_STORED])
def test_refused_event_delivers_nothing(subject: Subject, refused: Outcome) -> None:
    """The webhook came, but the table never got what it told of."""
    early, change = hint(ticket("0", 200)), ticket("1", 60)
    told = hint(change, received_at=change.modified_time + timedelta(seconds=1))
    subject.append(early, told)
    subject.warehouse.record_outcomes([outcome(early), outcome(told, outcome=refused)])
    facts, _ = subject.run(change)
    assert subject.missed()["1"] == "missed"
    assert facts.webhooks.events == 0


def test_waiting_event_delivers_by_its_append(subject: Subject) -> None:
    subject.append(hint(ticket("0", 200)))
    prompt, slow = ticket("1", 60), ticket("2", 60)
    subject.append(
        hint(prompt, committed_at=prompt.modified_time + timedelta(seconds=2)),
        hint(slow, committed_at=slow.modified_time + timedelta(minutes=20)),
    )
    subject.run(prompt, slow)
    assert {key: reason for key, reason in subject.missed().items() if key != "0"} == {"2": "late"}


def test_doubled_event_counts_once_by_its_first_append(subject: Subject) -> None:
    early, change = hint(ticket("0", 200)), ticket("1", 60)
    told = hint(change, received_at=change.modified_time + timedelta(seconds=1))
    again = replace(told, committed_at=NOON, received_at=NOON)
    subject.append(early, again, told, told)
    facts, _ = subject.run(change)
    assert "1" not in subject.missed()
    assert facts.webhooks.events == 1


@pytest.mark.parametrize(
    ("fetched_after", "reason"),
    [(timedelta(seconds=50), None), (timedelta(minutes=5), "missed")],
    ids=["at once", "much later"],
)
def test_hint_without_time_is_about_what_was_fetched_soon(
    subject: Subject, fetched_after: timedelta, reason: str | None
) -> None:
    """Fetched much later it may be a change whose own webhook was lost."""
    early, change = hint(ticket("0", 200)), ticket("1", 60)
    received = change.modified_time - fetched_after
    told = hint(change, modified_time=None, received_at=received)
    subject.append(early, told)
    subject.warehouse.record_outcomes([outcome(told, modified_time=change.modified_time)])
    subject.run(change)
    assert subject.missed().get("1") == reason


def test_event_dated_a_moment_off_is_about_the_version_fetched(subject: Subject) -> None:
    """Some vendors date the event and not the version."""
    early, change = hint(ticket("0", 200)), ticket("1", 60)
    off = change.modified_time + timedelta(milliseconds=900)
    told = hint(change, modified_time=off, received_at=off)
    subject.append(early, told)
    subject.warehouse.record_outcomes([outcome(told, modified_time=change.modified_time)])
    facts, _ = subject.run(change)
    assert "1" not in subject.missed()
    assert facts.webhooks.webhook_only <= 1


def test_test_event_does_not_begin_the_judging(subject: Subject) -> None:
    policy = replace(POLICY, enabled="auto")
    sample = hint(ticket("0", 200))
    subject.append(sample)
    subject.warehouse.record_outcomes([outcome(sample, outcome=Outcome.UNKNOWN_TICKET)])
    facts, _ = subject.run(ticket("1", 60), policy=policy)
    assert (subject.missed(), facts.webhooks.is_judged) == ({}, False)
    real = hint(ticket("2", 50))
    subject.append(real)
    facts, _ = subject.run(ticket("1", 60), ticket("3", 40), policy=policy)
    assert facts.webhooks.is_judged
    # Only what changed after the first event that is about a ticket is judged.
    assert {"3"} == {key for key in subject.missed() if key != "2"}


def test_null_key_is_refused_and_nothing_written(subject: Subject) -> None:
    nameless = replace(ticket("1"), ticket_id=None)  # type: ignore[arg-type]
    with pytest.raises(DataRefused):
        subject.warehouse.merge_webhooks(read(ticket("2"), nameless), run_id="drain")
    assert subject.backend.rows(tables.TICKETS.name) == []
