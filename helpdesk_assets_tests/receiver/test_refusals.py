"""Verified events that are not stored are kept by name, and a stranger cannot add to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import DataRefused, WarehouseUnavailable
from helpdesk_assets.receiver import refusals
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.refusals import Refusal, RefusalLog, RefusalStore
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
from helpdesk_assets_tests.receiver.webhook_posts import (
    START,
    rest_event,
    rest_headers,
    whole_ticket,
)


def refusal(number: int, **changed: Any) -> Refusal:
    fields = {"status": 503, "reason": "no answer", "ticket_id": str(number), "event_id": "e"}
    return Refusal(START, "rest", **{**fields, **changed})


class FlakySink:
    def __init__(self) -> None:
        self.is_down = False
        self.tried = 0
        self.written: list[Refusal] = []

    def write_refusals(self, found: Sequence[Refusal]) -> None:
        self.tried += 1
        if self.is_down:
            raise WarehouseUnavailable("gone")
        self.written += found


def run_log(sink: FlakySink, scenario: Callable[[RefusalLog], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        log = RefusalLog(sink, write_after=0.001)
        writing = asyncio.create_task(log.run())
        await asyncio.wait_for(scenario(log), 30)
        writing.cancel()
        await log.stop()

    asyncio.run(run())


def test_refusals_wait_for_the_warehouse(caplog: pytest.LogCaptureFixture) -> None:
    sink = FlakySink()
    sink.is_down = True

    async def scenario(log: RefusalLog) -> None:
        for number in (1, 2, 1):
            log.add(refusal(number))
        while sink.tried < 3:
            await asyncio.sleep(0.001)
        assert log.describe() == {"recorded": 3, "waiting": 2, "dropped": 0}
        sink.is_down = False
        while log.describe()["waiting"]:
            await asyncio.sleep(0.001)

    run_log(sink, scenario)
    assert [each.ticket_id for each in sink.written] == ["1", "2"]
    assert len(caplog.records) == 1


def test_waiting_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_WAITING", 10)
    sink = FlakySink()

    async def scenario(log: RefusalLog) -> None:
        for number in range(1000):
            log.add(refusal(number))
        assert log.describe() == {"recorded": 1000, "waiting": 10, "dropped": 990}

    run_log(sink, scenario)
    assert [each.ticket_id for each in sink.written] == [str(number) for number in range(990, 1000)]


def test_refusal_is_one_row_for_each_reason(warehouse: BigQueryClient) -> None:
    store = RefusalStore(warehouse)
    again = Refusal(START + timedelta(hours=1), "rest", 503, "no answer", "1", "e")
    store.write_refusals([refusal(1), refusal(2, ticket_id=None, event_id=None)])
    store.write_refusals([again, refusal(1, reason="another")])

    found = list(warehouse.list_rows("webhook_refusals"))
    assert sorted((row["ticket_id"] or "", row["reason"]) for row in found) == [
        ("", "no answer"), ("1", "another"), ("1", "no answer"),
    ]  # fmt: skip
    assert {row["received_at"] for row in found} == {START}


class PickyStore(MemoryStore):
    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        if any(each.ticket.ticket_id == "2" for each in deliveries):
            raise DataRefused("Row 2 cannot be stored.")


def test_only_verified_posts_are_kept_by_name(open_alone: Open) -> None:
    store = PickyStore()
    with open_alone(store=store) as sender:
        sender.send(rest_event(whole_ticket(1), "fine"))
        sender.send(rest_event(whole_ticket(2), "bad row"))
        sender.send(rest_event(whole_ticket(3, modifiedTime="yesterday"), "bad time"))
        sender.send({"no": "ticket"})
        for _ in range(50):
            sender.send(rest_event(whole_ticket(4), "forged"), secret="a-wrong-one-of-some-length")
        assert sender.post(b"{}", rest_headers(b"{}", at=1.0)).status_code == 401
        assert sender.health()["refusals"]["recorded"] == 3

    kept = {(each.ticket_id, each.event_id, each.status): each.reason for each in store.refusals}
    assert kept == {
        ("2", "bad row", 422): "Row 2 cannot be stored.",
        ("3", None, 422): kept["3", None, 422],
        (None, None, 400): "not a webhook of rest: no ticket id: ticketId is absent or not an id",
    }
    assert "Ticket 3: modifiedTime" in kept["3", None, 422]
