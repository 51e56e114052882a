"""A real Request Tracker posts from the Scrip in the documentation.

A sync finds what it posted while no receiver ran.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.webhook_posts import SECRET
from helpdesk_assets_tests.request_tracker.conftest import Running
from helpdesk_assets_tests.request_tracker.server import SCRIPT, RequestTracker
from helpdesk_assets_tests.request_tracker.test_real_server import (
    USER,
    assert_equal,
    settings_of,
    sync,
)

SCRIP = Path(SCRIPT).with_name("request-tracker-webhook.scrip")
# RT's clock cannot be moved, so that the test waits for it. The receiver gives a post nine seconds.
GRACE = timedelta(seconds=15)
PATIENCE_SECONDS = 60.0


class WebhookEnv:
    """An RT that posts to one port, whether or not a receiver is there."""

    def __init__(self, rt: RequestTracker, port: int, settings: Settings, directory: Path) -> None:
        self.rt = rt
        self.settings = settings
        self._arguments = ("--port", str(port))
        self._directory = directory

    def receiver(self) -> ReceiverProcess:
        environment = environment_of(self.settings, HELPDESK_USER=USER)
        return ReceiverProcess(self._directory, environment, *self._arguments)

    def versions(self, *ticket_ids: str) -> set[tuple[str, datetime]]:
        """Return the tickets' current versions in RT."""
        found = {each: self.rt.ticket(each) for each in ticket_ids}
        return {
            (each, datetime.fromisoformat(body["LastUpdated"]))
            for each, body in found.items()
            if body is not None
        }


@pytest.fixture(scope="module")
def posting(
    installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, int]]:
    """A separate RT, since others would wait for its posts too, and the port that it posts to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = SCRIP.read_text()
    for theirs, ours in (
        ("https://hooks.example.com/", f"http://127.0.0.1:{port}/"),
        ("'the secret'", f"'{SECRET}'"),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    scrip = tmp_path_factory.mktemp("scrip") / SCRIP.name
    scrip.write_text(text)
    rt = RequestTracker()
    try:
        token = rt.insert_users()
        rt.insert(scrip)
        with rt:
            yield Running(rt, token), port
    finally:
        rt.stop()


@pytest.fixture
def webhook_env(
    posting: tuple[Running, int],
    warehouse_settings: Settings,
    warehouse: BigQueryClient,
    tmp_path: Path,
) -> WebhookEnv:
    running, port = posting
    named = settings_of(
        running,
        USER,
        webhooks_enabled=True,
        webhook_grace_seconds=GRACE.seconds,
        webhook_secrets=SecretStr(SECRET),
    )
    return WebhookEnv(running.rt, port, warehouse_settings.model_copy(update=named), tmp_path)


def test_posts_while_the_receiver_is_down_are_found_missed(
    webhook_env: WebhookEnv, warehouse: BigQueryClient
) -> None:
    rt = webhook_env.rt
    old = [rt.create(f"before there was a receiver {number}") for number in range(2)]
    sync(webhook_env.settings)

    with webhook_env.receiver() as receiver:
        assert receiver.url
        new, changed, replied, deleted = (rt.create(f"told {number}") for number in range(4))
        rt.change(changed, Subject="geändert", Priority="10")
        rt.reply(replied, "Wir melden uns.")
        rt.delete(deleted)
        posted_versions = webhook_env.versions(new, changed, replied, deleted)
        until(lambda: posted_versions <= events(warehouse))
        sync(webhook_env.settings)  # it drains first
        stored = {row["ticket_id"]: row for row in warehouse.list_rows("tickets")}
        for ticket_id, modified in posted_versions:
            row = stored[ticket_id]
            assert (row["modifiedTime"], row["_synced_by"]) == (modified, "webhook")
            assert (row["deletedTime"] is not None) == (ticket_id == deleted)
        assert (stored[changed]["subject"], stored[changed]["priority"]) == ("geändert", "10")
        receiver.process.terminate()
        assert receiver.ended() == (0, "")

    rt.change(old[0], Priority="20")
    lost_new = rt.create("nobody is told")
    lost = webhook_env.versions(old[0], lost_new)
    with webhook_env.receiver():
        # The newest change is delivered, so MAX(modifiedTime) passes the lost ones.
        rt.change(old[1], Subject="told again")
        last = webhook_env.versions(old[1])
        until(lambda: last <= events(warehouse))
        assert not lost & events(warehouse)
        past_grace = max(modified for _, modified in (*lost, *last)) + GRACE + timedelta(seconds=2)
        until(lambda: rt_time(rt) >= past_grace)
        report = sync(webhook_env.settings)
        assert report.facts.missed_total == len(lost)
        assert_equal(rt, warehouse)
    assert ledger(warehouse) == [(*version, "missed") for version in sorted(lost)]


def events(warehouse: BigQueryClient) -> set[tuple[str, datetime]]:
    rows = list(warehouse.list_rows("webhook_events"))
    assert len({row["event_id"] for row in rows}) == len(rows)
    return {(row["ticket_id"], row["modifiedTime"]) for row in rows}


def ledger(warehouse: BigQueryClient) -> list[tuple[str, datetime, str]]:
    rows = warehouse.list_rows("missed_updates")
    return sorted((row["ticket_id"], row["modifiedTime"], row["reason"]) for row in rows)


def rt_time(rt: RequestTracker) -> datetime:
    return parsedate_to_datetime(rt.get("/rt").headers["Date"])


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)
