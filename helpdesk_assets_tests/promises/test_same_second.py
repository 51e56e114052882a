"""Promises 1 and 2 where two things happen to a ticket within one second: they carry one time, and
their webhooks may come in any order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tickets import Shape, TicketReader, tombstone
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.store import DeliveryStore
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig
from helpdesk_assets_tests.promises.test_manual_watermark import set_by_hand


def whole(change: TrueTicket) -> Ticket:
    (ticket,) = TicketReader(Shape(), skip_bad=False).page([change.whole]).tickets
    return ticket


def arrive(rig: Rig, tickets: Sequence[Ticket], at: datetime) -> None:
    """Webhooks that come to the receiver together."""
    deliveries = [
        Delivery(uuid.uuid4().hex, "ticket.updated", "rest", at, ticket) for ticket in tickets
    ]
    DeliveryStore(rig.warehouse).write_tickets(deliveries, uuid.uuid4().hex)


def twice_in_a_second(rig: Rig) -> tuple[Ticket, Ticket]:
    rig.desk.freeze()
    (first,) = rig.desk.change(1)
    (second,) = rig.desk.change(ids=[first.ticket_id])
    assert first.modified_time == second.modified_time
    rig.desk.thaw()
    return whole(first), whole(second)


def test_a_webhook_that_comes_late_has_not_the_last_word(rig: Rig) -> None:
    rig.sync()
    first, second = twice_in_a_second(rig)
    for _ in range(2):
        # Beyond what windows read again.
        rig.desk.advance(RIPE_SECONDS)
        rig.sync()
    for ticket in (second, first):
        arrive(rig, [ticket], rig.desk.clock().now)
    rig.assert_equal()


def test_one_that_comes_at_once_is_stored_and_the_sync_decides(rig: Rig) -> None:
    rig.sync()
    first, second = twice_in_a_second(rig)
    for ticket in (second, first):
        arrive(rig, [ticket], ticket.modified_time + timedelta(seconds=2))
        assert rig.tickets()[ticket.ticket_id]["raw_json"] == json.loads(ticket.raw_json)
    rig.settle()


@pytest.mark.parametrize("together", [True, False])
def test_a_deletion_is_the_last_that_happens(rig: Rig, together: bool) -> None:
    rig.sync()
    (change,) = rig.desk.change(1)
    ticket = whole(change)
    gone = tombstone(ticket.ticket_id, ticket.modified_time, {"gone": True})
    at = ticket.modified_time + timedelta(seconds=2)
    for group in [[gone, ticket]] if together else [[gone], [ticket]]:
        arrive(rig, group, at)
    stored = rig.tickets()[ticket.ticket_id]
    assert stored["deletedTime"] == stored["modifiedTime"] == ticket.modified_time
    assert stored["subject"]


@pytest.mark.parametrize("phase", ["fetch", "missed"])
@pytest.mark.parametrize("ranged", [False, True], ids=["sync", "range"])
def test_a_run_that_was_overtaken_has_not_the_last_word(rig: Rig, phase: str, ranged: bool) -> None:
    """What it read is older than what the other run read of the same second, and the watermark has
    gone on so far that no window reads that second again. (Found by a story of chaos.)"""
    rig.sync()
    rig.desk.advance(60)
    rig.desk.freeze()
    (first,) = rig.desk.change(1)
    at = first.modified_time

    def overtaken(done: str) -> None:
        if done != phase:
            return
        (second,) = rig.desk.change(ids=[first.ticket_id])
        assert second.modified_time == at
        rig.desk.thaw()
        rig.desk.advance(RIPE_SECONDS)
        rig.sync()

    if ranged:
        span = {"since": at - timedelta(hours=1), "until": at + timedelta(hours=1)}
        rig.sync(on_phase=overtaken, **span)  # type: ignore[arg-type]
    else:
        with pytest.raises(AnotherWriter):
            rig.sync(on_phase=overtaken)
    rig.assert_equal()
    rig.settle()


def test_a_range_read_again_has_it_where_nobody_overtook_it(rig: Rig) -> None:
    """What is wrong at an equal time, whoever wrote it, is put right by reading it again. A person
    who has set the watermark meanwhile has read nothing."""
    rig.sync()
    first, second = twice_in_a_second(rig)
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    wrong = replace(first, content_hash="another")
    arrive(rig, [wrong], wrong.modified_time + timedelta(seconds=2))
    at = second.modified_time

    def meddle(done: str) -> None:
        if done == "fetch":
            set_by_hand(rig, at)

    rig.sync(since=at - timedelta(hours=1), until=at + timedelta(hours=1), on_phase=meddle)
    rig.assert_equal()
    arrive(rig, [wrong], wrong.modified_time + timedelta(seconds=2))
    rig.repair([second.ticket_id])
    rig.assert_equal()
