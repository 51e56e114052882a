"""Threads that fetch pages compute one after the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.parsing import exact_json
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader

THREADS = 4


class OneAtATime:
    """Stands in for a function that computes; keeps how many calls ran at once."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        # A thread that could come in at the same time gets every chance to.
        threading.Event().wait(0.01)
        try:
            return self._function(*args, **kwargs)
        finally:
            with self._lock:
                self._now -= 1


def in_threads(call: Any) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(call) for _ in range(THREADS * 2)]:
            done.result()


def test_bodies_are_parsed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = OneAtATime(exact_json.parse)
    monkeypatch.setattr(exact_json, "parse", parse)
    reply = Reply("/tickets", 200, {}, b"[1]", datetime(2026, 11, 1, tzinfo=UTC))
    in_threads(reply.json)
    assert parse.most == 1


def test_tickets_are_read_one_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    storable = OneAtATime(exact_json.storable)
    monkeypatch.setattr(exact_json, "storable", storable)
    reader = TicketReader(FieldMap(), skip_bad=False)
    row = {"id": "1", "modifiedTime": "2026-11-01T08:00:00Z"}
    in_threads(lambda: reader.page([row]))
    assert storable.most == 1
