"""An answer waits for the append alone: not for statements, other calls, or the helpdesk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import Open, stored_events
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.steady_posts import IN_TIME, NEVER_LATER, steady, stretch
from helpdesk_assets_tests.receiver.webhook_posts import Sender, rest_event, whole_ticket
from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy


class HangingProxy(ReverseProxy):
    """The warehouse's REST side, which stops to answer."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.hangs = False
        self.released = threading.Event()

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        if self.hangs:
            self.released.wait(60)
            return None
        return forward()


@contextmanager
def hanging(settings: Settings) -> Iterator[HangingProxy]:
    with HangingProxy(settings.bigquery_emulator_host) as proxy:
        try:
            yield proxy
        finally:
            proxy.released.set()


def took(sender: Sender, event: object) -> float:
    began = time.monotonic()
    assert sender.send(event).status_code == 200
    return time.monotonic() - began


def test_answers_wait_for_no_statement_and_no_helpdesk(
    settings: Settings, open_receiver: Open, warehouse: BigQueryClient
) -> None:
    """A hint, a deletion and a ticket, while all but the append hangs or is down."""
    events = [
        {"id": "hint", "type": "ticket.updated", "ticketId": "7"},
        {"id": "gone", "type": "ticket.deleted", "ticketId": "7"},
        rest_event(whole_ticket(1), "whole"),
    ]
    gone = "http://127.0.0.1:9"
    with (
        hanging(settings) as proxy,
        open_receiver(bigquery_emulator_host=proxy.endpoint, helpdesk_base_url=gone) as sender,
    ):
        # The first one asks whose dataset it is.
        assert sender.send(rest_event(whole_ticket(2), "first")).status_code == 200
        proxy.hangs = True
        assert max(took(sender, event) for event in events) < IN_TIME
        assert sender.health()["status"] == "ok"

    stored = {event.event_id for event in stored_events(warehouse)}
    assert stored == {"first", "hint", "gone", "whole"}


def test_unknown_owner_of_the_dataset_holds_no_vendor_up(
    settings: Settings, open_receiver: Open
) -> None:
    with (
        hanging(settings) as proxy,
        open_receiver(bigquery_emulator_host=proxy.endpoint) as sender,
    ):
        proxy.hangs = True
        began = time.monotonic()
        assert sender.send(rest_event(whole_ticket(1), "early")).status_code == 503
        assert time.monotonic() - began < NEVER_LATER
        proxy.hangs = False
        proxy.released.set()
        assert sender.send(rest_event(whole_ticket(1), "early")).status_code == 200


@pytest.mark.slow
def test_hundred_events_a_second_are_answered_in_time(
    settings: Settings, tmp_path: Path, warehouse: BigQueryClient
) -> None:
    """Nothing acknowledged is lost, and nothing grows."""
    with (
        ReceiverProcess(tmp_path, environment_of(settings)) as receiver,
        closing(Sender(receiver.url)) as sender,
    ):
        assert sender.send(rest_event(whole_ticket(0), "first")).status_code == 200
        answers = steady(receiver.url, per_second=100, seconds=20)
        seen, stretched = sender.health(), stretch(receiver.process.pid)
    answers.check(stretched)
    assert seen["queued"] == 0
    assert len({event.event_id for event in stored_events(warehouse)}) == len(answers.ids) + 1
