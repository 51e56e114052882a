"""The ledger's entry for each change, case by case on a warehouse; one statement judges many."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import LedgerSource, Unsubscribed
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.judging_window import LATE_WITHIN, judging_window
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.ledger_cases import EVENTS, POLICY, LedgerCases, at

LISTENING = -9_000.0
FORCED = replace(POLICY, ledger_source=LedgerSource.EVENTS)


@pytest.fixture
def cases(warehouse: BigQueryClient) -> LedgerCases:
    cases = LedgerCases(warehouse)
    cases.event("long ago", LISTENING, LISTENING)
    return cases


def test_missed_updates_are_recorded_with_their_reason(cases: LedgerCases) -> None:
    # Everything is in the tickets table, so only events show what was delivered.
    for ticket in ("in time", "newer", "twice", "hint", "unordered"):
        cases.poll(ticket, -60)
    cases.event("in time", -60, -59.9)
    cases.event("newer", -58, -57.9)
    cases.poll("newer", -58)
    cases.event("twice", -60, -59.9)
    cases.event("twice", -60, -59)
    cases.event("hint", None, -59)
    cases.event("unordered", -60, -57)
    cases.event("unordered", -70, -56)
    for ticket in ("never", "older", "hidden", "long after", "old hint", "slow", "queued"):
        cases.poll(ticket, -60)
    cases.event("older", -61, -60.5)
    # A much later event of the same ticket: it updated the row and proves nothing.
    cases.event("hidden", -20, -19.9)
    cases.poll("hidden", -20)
    cases.event("long after", -60, -10)
    cases.event("old hint", None, -61)
    cases.event("slow", -60, -54)
    cases.event("queued", -60, -59, committed=-50)
    cases.poll("young", -4)
    cases.poll("gone", -60, deletedTime=at(-60).isoformat())
    cases.event("gone", -60.05, -59, deleted=True)
    assert cases.judge(cases.manifest()) == {
        "never": "missed",
        "older": "missed",
        "hidden": "missed",
        "old hint": "missed",
        "long after": "late",
        "slow": "late",
        "queued": "late",
    }
    assert cases.row("never")["lag_seconds"] == 3600
    assert cases.row("never")["delivered_at"] is None
    assert cases.row("queued")["lag_seconds"] == 600
    assert cases.row("queued")["delivered_at"] == at(-50)
    assert cases.row("queued")["detected_at"] == NOON


def test_missed_update_becomes_late_when_its_event_arrives(cases: LedgerCases) -> None:
    for ticket in ("redelivered", "backdated", "still", "moved on", "hinted"):
        cases.poll(ticket, -60)
    assert set(cases.judge(cases.manifest()).values()) == {"missed"}
    before = cases.row("redelivered")

    cases.event("redelivered", -60, 30)
    # In flight when the run judged, but committed within the grace by the receiver's clock.
    cases.event("backdated", -60, -59)
    # The ticket's next change is delivered, which says nothing about the lost one.
    cases.event("moved on", 20, 20.1)
    cases.poll("moved on", 20, seen=120, run="run-2")
    cases.event("hinted", None, 20.1)
    later = cases.manifest(
        run_id="run-2",
        served_at=at(120),
        window=Window(at(-5), at(120)),
        initial_watermark=at(0),
    )
    assert cases.judge(later) == {
        "redelivered": "late",
        "backdated": "late",
        "still": "missed",
        "moved on": "missed",
        "hinted": "missed",
    }
    turned = cases.row("redelivered")
    assert turned["lag_seconds"] == 90 * 60
    assert turned["delivered_at"] == at(30)
    assert (turned["_run_id"], turned["_judged_by"]) == ("run-1", "run-2")
    assert turned["detected_at"] == before["detected_at"]
    assert turned["_content_hash"] == before["_content_hash"]
    assert cases.row("still")["_judged_by"] == "run-1"


def test_repeating_changes_nothing(cases: LedgerCases) -> None:
    cases.poll("never", -60)
    cases.poll("slow", -60)
    cases.event("slow", -60, -50)
    cases.event("unpolled", -60, -59.9)
    cases.judge(cases.manifest())
    first = cases.rows()
    cases.judge(cases.manifest(run_id="run-1b"))
    assert sorted(cases.rows(), key=str) == sorted(first, key=str)
    assert {row["ticket_id"] for row in first} == {"never", "slow", "unpolled"}


def test_too_recent_versions_are_judged_by_the_next_run(cases: LedgerCases) -> None:
    cases.poll("delivered", -3)
    cases.poll("lost", -3)
    cases.poll("replaced", -3)
    cases.event("delivered", -3, -2.9)
    assert cases.judge(cases.manifest(("lost", -3), ("delivered", -3))) == {}
    # The helpdesk now returns its newer version, whose webhook arrived.
    cases.poll("replaced", 30, seen=120, run="run-2")
    cases.event("replaced", 30, 30.1)
    later = cases.manifest(
        run_id="run-2", served_at=at(120), window=Window(at(-5), at(120)), initial_watermark=at(0)
    )
    assert cases.judge(later) == {"lost": "missed", "replaced": "missed"}
    assert {row["modifiedTime"] for row in cases.rows()} == {at(-3)}


def test_event_for_a_ticket_polling_did_not_return(cases: LedgerCases) -> None:
    cases.event("unpolled", -60, -59.9)
    cases.event("polled", -60, -59.9)
    cases.poll("polled", -60)
    cases.event("an older one was", -60, -59.9)
    cases.poll("an older one was", -62)
    cases.event("an older one was", -62, -61.9)
    # The next window includes it; only then is it known whether the webhook is late.
    cases.event("at the edge", -4, -3.9)
    cases.event("before the window", -126, -125.9)
    cases.event("gone", -60, -59.9, deleted=True)
    cases.event("gone since", -60, -59.9)
    cases.store("gone since", -60, deletedTime=at(-50).isoformat())
    cases.event("no time", None, -59.9)
    manifest = cases.manifest()
    assert cases.judge(manifest) == {
        "unpolled": "webhook_only",
        "an older one was": "webhook_only",
    }
    row = cases.row("unpolled")
    assert (row["lag_seconds"], row["modifiedTime"]) == (3600, at(-60))


def test_incomplete_window_reports_no_webhook_only_changes(cases: LedgerCases) -> None:
    cases.event("unpolled", -60, -59.9)
    assert cases.judge(cases.manifest(advances_watermark=False)) == {}
    assert cases.judge(cases.manifest(is_range=True)) == {}


def test_row_absent_from_the_table_is_missed_at_any_age(cases: LedgerCases) -> None:
    cases.poll("absent", -5_000)
    cases.poll("stale", -5_000)
    cases.store("stale", -5_100)
    cases.poll("there", -5_000)
    cases.store("there", -5_000)
    batch = [("absent", -5_000.0), ("stale", -5_000.0), ("there", -5_000.0)]
    full = cases.manifest(*batch, mode=Mode.FULL, window=Window(None, at(0)))
    assert cases.judge(full) == {"absent": "missed", "stale": "missed"}
    assert cases.row("stale")["stored_modifiedTime"] == at(-5_100)


def test_by_table_ignores_events(cases: LedgerCases) -> None:
    cases.poll("there", -60)
    cases.store("there", -60)
    manifest = cases.manifest(("there", -60))
    assert cases.judge(manifest, replace(POLICY, ledger_source=LedgerSource.TABLE)) == {}


def test_unsubscribed_changes_are_not_missed(cases: LedgerCases) -> None:
    cases.poll("deleted", -60, deletedTime=at(-60).isoformat())
    cases.poll("created", -60, createdTime=at(-60).isoformat())
    cases.poll("closed", -60, status="closed")
    cases.poll("closed and low", -60, status="closed", priority="low")
    cases.poll("open", -60, status="open")
    cases.poll("closed but told", -60, status="closed", priority="low")
    cases.event("closed but told", -60, -50)
    policy = replace(
        POLICY,
        unsubscribed=(
            Unsubscribed((("change", ("created", "deleted")),)),
            Unsubscribed((("status", ("closed", "solved")), ("priority", ("low",)))),
        ),
    )
    assert cases.judge(cases.manifest(), policy) == {
        "deleted": "not_subscribed",
        "created": "not_subscribed",
        "closed and low": "not_subscribed",
        "closed": "missed",
        "open": "missed",
        "closed but told": "late",
    }


def test_unsubscribed_changes_are_not_missed_by_table(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("created", -60, createdTime=at(-60).isoformat())
    cases.poll("updated", -60)
    policy = replace(POLICY, unsubscribed=(Unsubscribed((("change", ("created",)),)),))
    manifest = cases.manifest(("created", -60), ("updated", -60))
    assert cases.judge(manifest, policy) == {"created": "not_subscribed", "updated": "missing"}


def test_tombstone_of_a_known_deletion_is_not_missed(cases: LedgerCases) -> None:
    gone: dict[str, Any] = {"deletedTime": at(-60).isoformat(), "_tombstone": True}
    cases.poll("known", -60, **gone)
    cases.store("known", -80, deletedTime=at(-80).isoformat())
    cases.poll("unknown", -60, **gone)
    cases.store("unknown", -80)
    manifest = cases.manifest(("known", -60), ("unknown", -60), tombstones=2)
    assert cases.judge(manifest) == {"unknown": "missed"}


def test_versions_stored_late_by_another_run_are_judged(cases: LedgerCases) -> None:
    """For one day.

    An event without a version concerns the newest change before it. For a change that was to be
    judged before, it counts only if it arrived in time.
    """
    late: dict[str, Any] = {"seen": -61, "run": "held up"}
    cases.poll("lost", -700, **late)
    cases.poll("told", -700, **late)
    cases.event("told", -700, -699)
    cases.poll("hinted", -700, **late)
    cases.event("hinted", None, -699)
    cases.poll("hinted later", -700, **late)
    cases.event("hinted later", None, -600)
    cases.poll("days ago", -3 * 24 * 60, **late)
    cases.event("first of all", -9_000, -9_000)
    assert cases.judge(cases.manifest()) == {"lost": "missed", "hinted later": "missed"}


def test_full_run_over_an_adopted_table_judges_its_last_day(cases: LedgerCases) -> None:
    for ticket, minutes in (("told", -700), ("lost", -700), ("days ago", -3 * 24 * 60)):
        cases.poll(ticket, minutes)
    cases.event("told", -700, -699)
    adopting = cases.manifest(mode=Mode.FULL, window=Window(None, NOON), initial_watermark=None)
    assert cases.judge(adopting) == {"lost": "missed"}
    assert judging_window(adopting, EVENTS).settled is None


def test_bounds_of_an_incremental_run() -> None:
    since = NOON - timedelta(hours=2, minutes=7)
    bounds = judging_window(
        replace(SMALL, window=Window(since, NOON - timedelta(minutes=1))), EVENTS
    )
    assert bounds.since == since
    assert bounds.stored_since == since - timedelta(hours=24)
    assert bounds.counted_after == NOON - timedelta(hours=2, minutes=5)
    assert bounds.delivered_by == NOON - timedelta(minutes=5)
    # The start of the next window.
    assert bounds.settled == NOON - timedelta(minutes=8)
    assert bounds.reads_from == bounds.open_since == NOON - LATE_WITHIN


def test_bounds_of_a_full_run_follow_its_watermark() -> None:
    full = replace(SMALL, mode=Mode.FULL, window=Window(None, NOON))
    assert judging_window(full, EVENTS).since == NOON - timedelta(hours=2, minutes=5)


def test_older_rows_are_read_after_a_long_pause() -> None:
    paused = NOON - timedelta(days=30)
    manifest = replace(SMALL, window=Window(paused, NOON), initial_watermark=paused)
    assert judging_window(manifest, EVENTS).reads_from == paused - timedelta(hours=24)
