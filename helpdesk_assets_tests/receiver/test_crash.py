"""After a kill under load, whatever was answered with 2xx is in webhook_events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets_tests.receiver.conftest import stored_events
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    Sender,
    rest_event,
    whole_ticket,
)

SENDERS = 12
TICKETS_OF_EACH = 3
PATIENCE = 120.0


class Load:
    """Senders that post new versions of their tickets until they are stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._changed = threading.Condition()
        self.answered: dict[str, tuple[str, datetime]] = {}
        self.refused: set[int] = set()
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until all senders together have received so many 2xx."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.answered) >= count, PATIENCE)

    def _send(self, number: int) -> None:
        with closing(Sender(self._url)) as sender:
            revision = 0
            while not self._over.is_set():
                revision += 1
                ticket_id = 100 * number + revision % TICKETS_OF_EACH
                self._one(sender, ticket_id, revision)

    def _one(self, sender: Sender, number: int, revision: int) -> None:
        event_id = f"event-{number}-{revision}"
        try:
            answer = sender.send(rest_event(whole_ticket(number, revision), event_id))
        except requests.RequestException:
            self._over.wait(0.05)
            return
        with self._changed:
            if answer.ok:
                moment = START + timedelta(seconds=revision)
                self.answered[event_id] = (str(number), moment)
            else:
                self.refused.add(answer.status_code)
            self._changed.notify_all()


def assert_all_stored(settings: Settings, load: Load) -> None:
    with closing(connect(settings)) as warehouse:
        events = stored_events(warehouse)
    stored = {each.event_id: (each.ticket_id, each.modified_time) for each in events}
    absent = {key for key, expected in load.answered.items() if stored.get(key) != expected}
    assert absent == set()
    assert all(each.ticket and each.committed_at for each in events)


@contextmanager
def own_warehouse(directory: Path) -> Iterator[tuple[LocalWarehouse, Settings]]:
    with LocalWarehouse(directory / "warehouse") as warehouse:
        yield (
            warehouse,
            Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
                _env_file=None,
                bigquery_project="test-project",
                bigquery_emulator_host=warehouse.endpoint,
                webhook_secrets=SecretStr(SECRET),
            ),
        )


@pytest.mark.parametrize("answered", [1, 60])
def test_receiver_killed_under_load(settings: Settings, tmp_path: Path, answered: int) -> None:
    """Early, when the table is hardly created, and in the middle."""
    with ReceiverProcess(tmp_path, environment_of(settings)) as receiver:
        with Load(receiver.url) as load:
            load.wait_for(answered)
            receiver.process.kill()
        receiver.process.wait()
    assert_all_stored(settings, load)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_warehouse_killed_and_restarted(tmp_path: Path) -> None:
    with (
        own_warehouse(tmp_path) as (warehouse, settings),
        ReceiverProcess(tmp_path, environment_of(settings)) as receiver,
    ):
        with Load(receiver.url) as load:
            load.wait_for(30)
            warehouse.kill()
            before = len(load.answered)
            warehouse.start()
            load.wait_for(before + 60)
        assert_all_stored(settings, load)
        with closing(Sender(receiver.url)) as sender:
            assert sender.health()["queued"] == 0
    assert load.refused <= {503}


def test_terminated_receiver_answers_queued_posts(settings: Settings, tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path, environment_of(settings)) as receiver:
        with Load(receiver.url) as load:
            load.wait_for(20)
            receiver.process.terminate()
            exit_code, errors = receiver.ended()
        assert (exit_code, errors) == (0, "")
    assert load.refused == set()
    assert_all_stored(settings, load)
