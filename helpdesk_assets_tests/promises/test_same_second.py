"""Promises 1 and 2 for two changes of a ticket within one second.

They have the same modified time, and their webhooks may arrive in any order.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY


def raw_ticket(change: TrueTicket) -> Ticket:
    (ticket,) = TicketReader(FieldMap(), skip_bad=False).page([change.raw_ticket]).tickets
    return ticket


def store_webhook(harness: Harness, tickets: Sequence[Ticket], at: datetime) -> None:
    """Drain webhooks that arrive at the receiver together."""
    for ticket in tickets:
        event = WebhookEvent(
            uuid.uuid4().hex,
            ticket.ticket_id,
            "ticket.updated",
            EventKind.TICKET,
            "rest",
            at,
            ticket.modified_time,
            ticket,
            at,
        )
        harness.append(event)
    assert harness.drain().left == 0


def twice_in_a_second(harness: Harness) -> tuple[Ticket, Ticket]:
    harness.simulator.freeze()
    (first,) = harness.simulator.change(1)
    (second,) = harness.simulator.change(ids=[first.ticket_id])
    assert first.modified_time == second.modified_time
    harness.simulator.thaw()
    return raw_ticket(first), raw_ticket(second)


@ON_BIGQUERY
def test_late_webhook_does_not_overwrite(harness: Harness) -> None:
    harness.sync()
    first, second = twice_in_a_second(harness)
    for _ in range(2):
        # Older than the overlap of windows.
        harness.simulator.advance(SECONDS_PAST_GRACE)
        harness.sync()
    for ticket in (second, first):
        store_webhook(harness, [ticket], harness.simulator.clock().now)
    harness.assert_equal()


@ON_BIGQUERY
def test_first_webhook_stays_until_the_sync_decides(harness: Harness) -> None:
    """Webhooks of one second may come in any order, and again."""
    harness.sync()
    first, second = twice_in_a_second(harness)
    for ticket in (first, second, first):
        store_webhook(harness, [ticket], ticket.modified_time + timedelta(seconds=2))
        assert harness.tickets()[ticket.ticket_id]["raw_json"] == json.loads(first.raw_json)
    harness.sync_and_verify()
    store_webhook(harness, [first], first.modified_time + timedelta(seconds=5))
    harness.assert_equal()


@pytest.mark.parametrize("together", [True, False])
@ON_BIGQUERY
def test_deletion_is_final(harness: Harness, together: bool) -> None:
    harness.sync()
    (change,) = harness.simulator.change(1)
    ticket = raw_ticket(change)
    gone = tombstone(ticket.ticket_id, ticket.modified_time, {"gone": True})
    at = ticket.modified_time + timedelta(seconds=2)
    for group in [[gone, ticket]] if together else [[gone], [ticket]]:
        store_webhook(harness, group, at)
    stored = harness.tickets()[ticket.ticket_id]
    assert stored["deletedTime"] == stored["modifiedTime"] == ticket.modified_time
    assert stored["subject"]


@ON_BIGQUERY
def test_later_of_two_fetches_within_one_second_stays(harness: Harness) -> None:
    """A `Date` header counts whole seconds; hints are fetched once by each drain."""
    harness.sync()
    harness.simulator.freeze()
    for number in range(2):
        (change,) = harness.simulator.change(ids=[min(harness.tickets())])
        event = WebhookEvent(
            f"hint {number}",
            change.ticket_id,
            "ticket.updated",
            EventKind.HINT,
            "rest",
            change.modified_time,
            committed_at=change.modified_time,
        )
        harness.append(event, event)
        if number:
            harness.simulator.thaw()
            harness.simulator.advance(1)
        report = harness.drain()
        assert (report.merged, report.fetched) == (1, 1)
    harness.assert_equal()


@pytest.mark.parametrize("ranged", [False, True], ids=["sync", "range"])
def test_overtaken_run_does_not_overwrite(harness: Harness, ranged: bool) -> None:
    """It read an older version of a second than the other run did.

    The watermark is so far ahead that no window reads that second again. (Found by a chaos
    scenario.)
    """
    harness.sync()
    harness.simulator.advance(60)
    harness.simulator.freeze()
    (first,) = harness.simulator.change(1)
    at = first.modified_time

    def overtaken(done: str) -> None:
        if done != "fetch":
            return
        (second,) = harness.simulator.change(ids=[first.ticket_id])
        assert second.modified_time == at
        harness.simulator.thaw()
        harness.simulator.advance(SECONDS_PAST_GRACE)
        harness.sync()

    if ranged:
        span = {"since": at - timedelta(hours=1), "until": at + timedelta(hours=1)}
        harness.sync(on_phase=overtaken, **span)  # type: ignore[arg-type]
    else:
        with pytest.raises(ConcurrentUpdate):
            harness.sync(on_phase=overtaken)
    harness.assert_equal()
    harness.sync_and_verify()


@ON_BIGQUERY
def test_rereading_a_range_corrects_rows_at_equal_times(harness: Harness) -> None:
    """Reading a range again corrects wrong rows with equal times, whoever wrote them.

    Setting the watermark, which somebody does meanwhile, reads nothing.
    """
    harness.sync()
    first, second = twice_in_a_second(harness)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    wrong = replace(first, content_hash="another")
    store_webhook(harness, [wrong], wrong.modified_time + timedelta(seconds=2))
    at = second.modified_time

    def meddle(done: str) -> None:
        if done == "fetch":
            harness.set_watermark(at)

    harness.sync(since=at - timedelta(hours=1), until=at + timedelta(hours=1), on_phase=meddle)
    harness.assert_equal()
    store_webhook(harness, [wrong], wrong.modified_time + timedelta(seconds=2))
    harness.repair([second.ticket_id])
    harness.assert_equal()
