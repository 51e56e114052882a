"""What the ledger says of each change, on a warehouse, case by case. One statement judges many."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import LedgerBy, LeftOut
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.statements.judging_window import OPEN_FOR, judging
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.ledger_cases import POLICY, Book, at

LISTENING = -9_000.0
FORCED = replace(POLICY, by=LedgerBy.EVENTS)


@pytest.fixture
def book(warehouse: Warehouse) -> Book:
    book = Book(warehouse)
    book.event("long ago", LISTENING, LISTENING)
    return book


def test_what_no_event_brought_in_time_is_told_by_why(book: Book) -> None:
    # Everything is in the tickets table: only the events tell.
    for ticket in ("in time", "newer", "twice", "hint", "unordered"):
        book.poll(ticket, -60)
    book.event("in time", -60, -59.9)
    book.event("newer", -58, -57.9)
    book.poll("newer", -58)
    book.event("twice", -60, -59.9)
    book.event("twice", -60, -59)
    book.event("hint", None, -59)
    book.event("unordered", -60, -57)
    book.event("unordered", -70, -56)
    for ticket in ("never", "older", "hidden", "long after", "old hint", "slow", "queued"):
        book.poll(ticket, -60)
    book.event("older", -61, -60.5)
    # Of the same ticket, and long after: it moved the row on and proves nothing.
    book.event("hidden", -20, -19.9)
    book.poll("hidden", -20)
    book.event("long after", -60, -10)
    book.event("old hint", None, -61)
    book.event("slow", -60, -54)
    book.event("queued", -60, -59, committed=-50)
    book.poll("young", -4)
    book.poll("gone", -60, deletedTime=at(-60).isoformat())
    book.event("gone", -60.05, -59, deleted=True)
    assert book.judge(book.manifest()) == {
        "never": "missed",
        "older": "missed",
        "hidden": "missed",
        "old hint": "missed",
        "long after": "late",
        "slow": "late",
        "queued": "late",
    }
    assert book.row("never")["lag_seconds"] == 3600
    assert book.row("never")["delivered_at"] is None
    assert book.row("queued")["lag_seconds"] == 600
    assert book.row("queued")["delivered_at"] == at(-50)
    assert book.row("queued")["detected_at"] == NOON


def test_a_missed_one_turns_late_when_its_event_comes_after_all(book: Book) -> None:
    for ticket in ("redelivered", "backdated", "still", "moved on", "hinted"):
        book.poll(ticket, -60)
    assert set(book.judge(book.manifest()).values()) == {"missed"}
    before = book.row("redelivered")

    book.event("redelivered", -60, 30)
    # It was under way when the run looked, and committed within the grace by the receiver's clock.
    book.event("backdated", -60, -59)
    # Its next change is delivered well, and says nothing about the one that was lost.
    book.event("moved on", 20, 20.1)
    book.poll("moved on", 20, seen=120, run="run-2")
    book.event("hinted", None, 20.1)
    later = book.manifest(
        run_id="run-2",
        served_at=at(120),
        window=Window(at(-5), at(120)),
        seen_watermark=at(0),
    )
    assert book.judge(later) == {
        "redelivered": "late",
        "backdated": "late",
        "still": "missed",
        "moved on": "missed",
        "hinted": "missed",
    }
    turned = book.row("redelivered")
    assert turned["lag_seconds"] == 90 * 60
    assert turned["delivered_at"] == at(30)
    assert (turned["_run_id"], turned["_judged_by"]) == ("run-1", "run-2")
    assert turned["detected_at"] == before["detected_at"]
    assert turned["_content_hash"] == before["_content_hash"]
    assert book.row("still")["_judged_by"] == "run-1"


def test_doing_it_again_changes_nothing(book: Book) -> None:
    book.poll("never", -60)
    book.poll("slow", -60)
    book.event("slow", -60, -50)
    book.event("unpolled", -60, -59.9)
    book.judge(book.manifest())
    first = book.rows()
    book.judge(book.manifest(run_id="run-1b"))
    assert sorted(book.rows(), key=str) == sorted(first, key=str)
    assert {row["ticket_id"] for row in first} == {"never", "slow", "unpolled"}


def test_what_was_too_young_is_judged_by_the_next_run_from_what_polling_stored(book: Book) -> None:
    book.poll("delivered", -3)
    book.poll("lost", -3)
    book.poll("replaced", -3)
    book.event("delivered", -3, -2.9)
    assert book.judge(book.manifest(("lost", -3), ("delivered", -3))) == {}
    # By now the helpdesk gives its newer version, whose webhook came.
    book.poll("replaced", 30, seen=120, run="run-2")
    book.event("replaced", 30, 30.1)
    later = book.manifest(
        run_id="run-2", served_at=at(120), window=Window(at(-5), at(120)), seen_watermark=at(0)
    )
    assert book.judge(later) == {"lost": "missed", "replaced": "missed"}
    assert {row["modifiedTime"] for row in book.rows()} == {at(-3)}


def test_an_event_whose_ticket_polling_did_not_return(book: Book) -> None:
    book.event("unpolled", -60, -59.9)
    book.event("polled", -60, -59.9)
    book.poll("polled", -60)
    book.event("an older one was", -60, -59.9)
    book.poll("an older one was", -62)
    book.event("an older one was", -62, -61.9)
    # The next window reaches back to it; whether it lags is not known before.
    book.event("at the edge", -4, -3.9)
    book.event("before the window", -126, -125.9)
    book.event("gone", -60, -59.9, deleted=True)
    book.event("gone since", -60, -59.9)
    book.store("gone since", -60, deletedTime=at(-50).isoformat())
    book.event("no time", None, -59.9)
    manifest = book.manifest()
    assert book.judge(manifest) == {
        "unpolled": "webhook_only",
        "an older one was": "webhook_only",
    }
    row = book.row("unpolled")
    assert (row["lag_seconds"], row["modifiedTime"]) == (3600, at(-60))


def test_a_run_that_did_not_read_a_whole_window_blames_nobody_for_what_it_lacks(book: Book) -> None:
    book.event("unpolled", -60, -59.9)
    assert book.judge(book.manifest(moves_watermark=False)) == {}
    assert book.judge(book.manifest(is_range=True)) == {}


def test_what_the_table_lacks_is_missed_however_old(book: Book) -> None:
    book.poll("absent", -5_000)
    book.poll("stale", -5_000)
    book.store("stale", -5_100)
    book.poll("there", -5_000)
    book.store("there", -5_000)
    batch = [("absent", -5_000.0), ("stale", -5_000.0), ("there", -5_000.0)]
    full = book.manifest(*batch, mode=Mode.FULL, window=Window(None, at(0)))
    assert book.judge(full) == {"absent": "missed", "stale": "missed"}
    assert book.row("stale")["stored_modifiedTime"] == at(-5_100)


def test_on_the_first_load_only_what_is_stale_counts(book: Book) -> None:
    book.poll("absent", -60)
    book.poll("stale", -60)
    book.store("stale", -70)
    first = book.manifest(
        ("absent", -60), ("stale", -60),
        first_load=True, mode=Mode.FULL, window=Window(None, at(0)), seen_watermark=None,
    )  # fmt: skip
    assert book.judge(first) == {"stale": "missed"}


def test_before_the_first_event_ever_nobody_was_listening(warehouse: Warehouse) -> None:
    book = Book(warehouse)
    book.poll("before", -60)
    book.poll("after", -20)
    book.event("first", -30, -29.9)
    book.poll("first", -30)
    assert book.judge(book.manifest()) == {"after": "missed"}


def test_auto_goes_by_the_table_until_there_is_an_event(warehouse: Warehouse) -> None:
    book = Book(warehouse)
    book.poll("absent", -60)
    book.poll("there", -60)
    book.store("there", -60)
    batch = book.manifest(("absent", -60), ("there", -60))
    assert book.judge(batch) == {"absent": "missing"}
    assert warehouse.get_table("webhook_events", fresh=True) is None


def test_told_to_go_by_events_it_says_that_none_came(warehouse: Warehouse) -> None:
    book = Book(warehouse)
    book.poll("there", -60)
    book.store("there", -60)
    assert book.judge(book.manifest(("there", -60)), FORCED) == {"there": "missed"}


def test_told_to_go_by_the_table_it_does_not_look_at_events(book: Book) -> None:
    book.poll("there", -60)
    book.store("there", -60)
    manifest = book.manifest(("there", -60))
    assert book.judge(manifest, replace(POLICY, by=LedgerBy.TABLE)) == {}


def test_what_the_subscription_leaves_out_is_not_missed(book: Book) -> None:
    book.poll("deleted", -60, deletedTime=at(-60).isoformat())
    book.poll("created", -60, createdTime=at(-60).isoformat())
    book.poll("closed", -60, status="closed")
    book.poll("closed and low", -60, status="closed", priority="low")
    book.poll("open", -60, status="open")
    book.poll("closed but told", -60, status="closed", priority="low")
    book.event("closed but told", -60, -50)
    policy = replace(
        POLICY,
        left_out=(
            LeftOut((("change", ("created", "deleted")),)),
            LeftOut((("status", ("closed", "solved")), ("priority", ("low",)))),
        ),
    )
    assert book.judge(book.manifest(), policy) == {
        "deleted": "not_subscribed",
        "created": "not_subscribed",
        "closed and low": "not_subscribed",
        "closed": "missed",
        "open": "missed",
        "closed but told": "late",
    }


def test_by_the_table_too_what_is_left_out_is_not_missed(warehouse: Warehouse) -> None:
    book = Book(warehouse)
    book.poll("created", -60, createdTime=at(-60).isoformat())
    book.poll("updated", -60)
    policy = replace(POLICY, left_out=(LeftOut((("change", ("created",)),)),))
    manifest = book.manifest(("created", -60), ("updated", -60))
    assert book.judge(manifest, policy) == {"created": "not_subscribed", "updated": "missing"}


def test_a_notice_of_a_ticket_that_is_known_to_have_gone_is_not_news(book: Book) -> None:
    gone: dict[str, Any] = {"deletedTime": at(-60).isoformat(), "_tombstone": True}
    book.poll("known", -60, **gone)
    book.store("known", -80, deletedTime=at(-80).isoformat())
    book.poll("unknown", -60, **gone)
    book.store("unknown", -80)
    manifest = book.manifest(("known", -60), ("unknown", -60), tombstones=2)
    assert book.judge(manifest) == {"unknown": "missed"}


def test_what_another_run_stored_after_its_time_is_judged_as_well(book: Book) -> None:
    """For a day. An event without a version is about the newest change before it: of one that was
    to be judged before, it says something only where it came in time."""
    late: dict[str, Any] = {"seen": -61, "run": "held up"}
    book.poll("lost", -700, **late)
    book.poll("told", -700, **late)
    book.event("told", -700, -699)
    book.poll("hinted", -700, **late)
    book.event("hinted", None, -699)
    book.poll("hinted later", -700, **late)
    book.event("hinted later", None, -600)
    book.poll("days ago", -3 * 24 * 60, **late)
    book.event("first of all", -9_000, -9_000)
    assert book.judge(book.manifest()) == {"lost": "missed", "hinted later": "missed"}


def test_over_an_adopted_table_a_full_run_judges_what_it_reads_of_its_last_day(book: Book) -> None:
    for ticket, minutes in (("told", -700), ("lost", -700), ("days ago", -3 * 24 * 60)):
        book.poll(ticket, minutes)
    book.event("told", -700, -699)
    adopting = book.manifest(mode=Mode.FULL, window=Window(None, NOON), seen_watermark=None)
    assert book.judge(adopting) == {"lost": "missed"}
    assert judging(adopting, POLICY).settled is None


def test_a_first_load_judges_nothing_by_its_time(book: Book) -> None:
    book.poll("lost", -700)
    first = book.manifest(
        mode=Mode.FULL, window=Window(None, NOON), seen_watermark=None, first_load=True
    )
    assert book.judge(first) == {}


def test_the_bounds_of_an_incremental_run() -> None:
    since = NOON - timedelta(hours=2, minutes=7)
    bounds = judging(replace(SMALL, window=Window(since, NOON - timedelta(minutes=1))), POLICY)
    assert bounds.since == since
    assert bounds.stored_since == since - timedelta(hours=24)
    assert bounds.counted_after == NOON - timedelta(hours=2, minutes=5)
    assert bounds.delivered_by == NOON - timedelta(minutes=5)
    # As far back as the next window will reach.
    assert bounds.settled == NOON - timedelta(minutes=8)
    assert bounds.reads_from == bounds.open_since == NOON - OPEN_FOR


def test_the_bounds_of_a_full_run_are_those_of_the_watermark_it_saw() -> None:
    full = replace(SMALL, mode=Mode.FULL, window=Window(None, NOON))
    assert judging(full, POLICY).since == NOON - timedelta(hours=2, minutes=5)


def test_after_a_long_pause_older_rows_are_read() -> None:
    paused = NOON - timedelta(days=30)
    manifest = replace(SMALL, window=Window(paused, NOON), seen_watermark=paused)
    assert judging(manifest, POLICY).reads_from == paused - timedelta(hours=24)
