"""Hints that arrive before a fetch starts share it; a fetch in flight serves no later hint."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver.credentials import RenewableHelpdesk
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.webhook_posts import START


class SlowHelpdesk:
    """A helpdesk that answers on command, with the number of calls before."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.under_way = 0

    def ticket(self, ticket_id: str) -> Ticket | None:
        self.calls.append(ticket_id)
        number = len(self.calls)
        assert self.gate.wait(60)
        if ticket_id == "fails":
            raise EndpointFailed("no answer")
        return None if ticket_id == "none" else tombstone(ticket_id, START, {"call": number})

    def close(self) -> None: ...


def unrenewable(helpdesk: SlowHelpdesk) -> RenewableHelpdesk:
    return RenewableHelpdesk(Settings(_env_file=None), lambda _: cast(Helpdesk, helpdesk), None)  # type: ignore[call-arg,unused-ignore]


def run_scenario(
    helpdesk: SlowHelpdesk,
    concurrency: int,
    scenario: Callable[[TicketFetcher], Coroutine[Any, Any, Any]],
) -> Any:
    async def run() -> Any:
        fetcher = TicketFetcher(unrenewable(helpdesk), concurrency=concurrency)
        try:
            return await asyncio.wait_for(scenario(fetcher), 60)
        finally:
            helpdesk.gate.set()
            fetcher.close()

    return asyncio.run(run())


def test_waiting_hints_share_a_fetch() -> None:
    helpdesk = SlowHelpdesk()

    async def scenario(fetcher: TicketFetcher) -> list[Ticket | None]:
        first = asyncio.ensure_future(fetcher.ticket("1"))
        while not helpdesk.calls:
            await asyncio.sleep(0.001)
        later = [asyncio.ensure_future(fetcher.ticket("1")) for _ in range(3)]
        await asyncio.sleep(0)
        helpdesk.gate.set()
        return await asyncio.gather(first, *later)

    first, *later = run_scenario(helpdesk, 1, scenario)
    assert helpdesk.calls == ["1", "1"]
    assert {ticket.raw_json for ticket in later} == {'{"call":2}'}
    assert first.raw_json == '{"call":1}'


def test_concurrent_fetches_are_limited() -> None:
    helpdesk = SlowHelpdesk()

    async def scenario(fetcher: TicketFetcher) -> int:
        wanted = [asyncio.ensure_future(fetcher.ticket(str(number))) for number in range(9)]
        while len(helpdesk.calls) < 3:
            await asyncio.sleep(0.001)
        for _ in range(50):
            await asyncio.sleep(0)
        under_way = len(helpdesk.calls)
        helpdesk.gate.set()
        await asyncio.gather(*wanted)
        return under_way

    assert run_scenario(helpdesk, 3, scenario) == 3
    assert len(helpdesk.calls) == 9


def test_helpdesk_result_is_passed_on() -> None:
    helpdesk = SlowHelpdesk()
    helpdesk.gate.set()

    async def scenario(fetcher: TicketFetcher) -> None:
        assert await fetcher.ticket("none") is None
        for _ in range(2):
            with pytest.raises(EndpointFailed):
                await fetcher.ticket("fails")

    run_scenario(helpdesk, 2, scenario)
    assert helpdesk.calls == ["none", "fails", "fails"]
