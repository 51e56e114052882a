"""Which copies of an event share the fate of the first."""

from __future__ import annotations

import asyncio

import pytest

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.receiver import recent_events
from helpdesk_assets.receiver.recent_events import REMEMBERED_FOR, RecentEvents
from helpdesk_assets_tests.receiver.webhook_posts import START


def test_copies_share_a_write_and_a_failed_one_is_repeated() -> None:
    async def scenario() -> None:
        recent = RecentEvents(lambda: START)
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        recent.add("1", "e", outcome)
        assert recent.find("1", "e") is outcome
        assert recent.find("2", "e") is None
        outcome.set_exception(WarehouseUnavailable("gone"))
        assert recent.find("1", "e") is None

        again: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        again.set_result(None)
        recent.add("1", "e", again)
        assert recent.find("1", "e") is again

    asyncio.run(scenario())


def test_old_events_and_too_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_REMEMBERED", 3)
    now = START

    async def scenario() -> None:
        nonlocal now
        recent = RecentEvents(lambda: now)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        for number in range(5):
            recent.add("1", str(number), done)
        assert [recent.find("1", str(number)) for number in range(5)] == [None, None, *[done] * 3]
        now += REMEMBERED_FOR * 2
        recent.add("1", "new", done)
        assert recent.find("1", "4") is None

    asyncio.run(scenario())
