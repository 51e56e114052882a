"""Hints that came before a fetch share it; one that was under way serves no later hint."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher
from helpdesk_assets_tests.receiver.webhook_posts import START


class SlowDesk:
    """Answers when it is let; each answer tells how many calls there were before it."""

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


def play(
    desk: SlowDesk, at_once: int, story: Callable[[TicketFetcher], Coroutine[Any, Any, Any]]
) -> Any:
    async def run() -> Any:
        fetcher = TicketFetcher(cast(Helpdesk, desk), at_once=at_once)
        try:
            return await asyncio.wait_for(story(fetcher), 60)
        finally:
            desk.gate.set()
            fetcher.close()

    return asyncio.run(run())


def test_those_that_wait_share_and_those_under_way_do_not() -> None:
    desk = SlowDesk()

    async def story(fetcher: TicketFetcher) -> list[Ticket | None]:
        first = asyncio.ensure_future(fetcher.ticket("1"))
        while not desk.calls:
            await asyncio.sleep(0.001)
        later = [asyncio.ensure_future(fetcher.ticket("1")) for _ in range(3)]
        await asyncio.sleep(0)
        desk.gate.set()
        return await asyncio.gather(first, *later)

    first, *later = play(desk, 1, story)
    assert desk.calls == ["1", "1"]
    assert {ticket.raw_json for ticket in later} == {'{"call":2}'}
    assert first.raw_json == '{"call":1}'


def test_so_many_at_a_time() -> None:
    desk = SlowDesk()

    async def story(fetcher: TicketFetcher) -> int:
        wanted = [asyncio.ensure_future(fetcher.ticket(str(number))) for number in range(9)]
        while len(desk.calls) < 3:
            await asyncio.sleep(0.001)
        for _ in range(50):
            await asyncio.sleep(0)
        under_way = len(desk.calls)
        desk.gate.set()
        await asyncio.gather(*wanted)
        return under_way

    assert play(desk, 3, story) == 3
    assert len(desk.calls) == 9


def test_what_the_helpdesk_says_is_handed_on() -> None:
    desk = SlowDesk()
    desk.gate.set()

    async def story(fetcher: TicketFetcher) -> None:
        assert await fetcher.ticket("none") is None
        for _ in range(2):
            with pytest.raises(EndpointFailed):
                await fetcher.ticket("fails")

    play(desk, 2, story)
    assert desk.calls == ["none", "fails", "fails"]
