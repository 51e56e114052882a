"""Verified events that are not stored are kept by name, and a stranger cannot add to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, WarehouseUnavailable
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.receiver import refusals
from helpdesk_assets.receiver.refusals import Refusal, RefusalLog
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

    def append_refusals(self, found: Sequence[Refusal]) -> None:
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


def test_refusal_is_written_once_for_each_reason() -> None:
    sink = FlakySink()

    async def scenario(log: RefusalLog) -> None:
        for number, reason in ((1, "a"), (1, "a"), (1, "b"), (1, "a"), (2, "a")):
            log.add(refusal(number, reason=reason))
            while log.describe()["waiting"]:
                await asyncio.sleep(0.001)

    run_log(sink, scenario)
    assert [(each.ticket_id, each.reason) for each in sink.written] == [
        ("1", "a"), ("1", "b"), ("2", "a"),
    ]  # fmt: skip


class PickyStore(MemoryStore):
    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        return {
            place: DataRefused("Row 2 cannot be stored.")
            for place, event in enumerate(events)
            if event.ticket_id == "2"
        }


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
