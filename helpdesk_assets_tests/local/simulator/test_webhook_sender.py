"""The simulated helpdesk's webhooks: signed, and lost, held or doubled on request."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from helpdesk_assets.local.simulator.admin_client import SimulatorError
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

SECRET = "a-secret-of-more-than-sixteen"


class Mailbox:
    """A receiver of webhooks that answers with `statuses` in turn, then with 200."""

    def __init__(self) -> None:
        self.posts: list[tuple[Mapping[str, str], bytes]] = []
        self.statuses: list[int] = []
        lock = threading.Lock()
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    mailbox.posts.append((dict(self.headers), body))
                    status = mailbox.statuses.pop(0) if mailbox.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/rest"

    def received(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    opened = Mailbox()
    yield opened
    opened.close()


@pytest.fixture
def simulator(mailbox: Mailbox) -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=20, frozen=True) as simulator:
        simulator.send_webhooks(url=mailbox.url, secret=SECRET)
        yield simulator
        simulator.webhook_status()


def test_change_webhook_is_signed_with_the_whole_ticket(
    simulator: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    (changed,) = simulator.change(1, fields={"subject": "größer"})
    assert simulator.webhook_status().answers == {"200": 1}

    ((headers, body),) = mailbox.posts
    stamp = headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    received = json.loads(body)
    message = f"{received['id']}.{stamp}.".encode() + body
    wanted = base64.b64encode(hmac.digest(SECRET.encode(), message, "sha256")).decode()
    assert headers["webhook-id"] == received["id"]
    assert headers["webhook-signature"] == f"v1,{wanted}"
    truth = {each.ticket_id: each.raw_ticket for each in simulator.truth(raw_ticket=True)}
    assert received["ticket"] == truth[changed.ticket_id]
    assert (received["type"], received["ticketId"]) == ("ticket.updated", changed.ticket_id)


def test_creations_and_deletions_send_webhooks(
    simulator: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    (made,) = simulator.create()
    simulator.webhook_status()
    simulator.delete(ids=[made.ticket_id])
    simulator.webhook_status()

    created, deleted = mailbox.received()
    assert (created["type"], created["ticketId"]) == ("ticket.created", made.ticket_id)
    assert (deleted["type"], deleted["ticketId"]) == ("ticket.deleted", made.ticket_id)
    assert "ticket" not in deleted
    assert created["id"] != deleted["id"]


def test_system_changes_send_no_webhooks(simulator: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    simulator.change(3, silent=True)
    simulator.webhook_status()
    assert mailbox.posts == []


def test_next_webhooks_are_lost_held_and_duplicated(
    simulator: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    simulator.send_webhooks(lose=2, hold=2, double=1)
    changed = [
        (each.ticket_id, each.modified_time) for each in simulator.change(6, spread_seconds=6)
    ]
    seen = simulator.webhook_status()

    assert (seen.lost, seen.held) == (tuple(changed[:2]), tuple(changed[2:4]))
    assert sorted(received["ticketId"] for received in mailbox.received()) == sorted(
        ticket_id for ticket_id, _ in [changed[4], changed[4], changed[5]]
    )
    assert len({received["id"] for received in mailbox.received()}) == 2


def test_held_webhooks_arrive_late_with_their_content(
    simulator: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    (ticket_id,) = (each.ticket_id for each in simulator.change(1))
    simulator.webhook_status()
    simulator.send_webhooks(hold=1)
    (first,) = simulator.change(ids=[ticket_id], spread_seconds=5)
    simulator.change(ids=[ticket_id], spread_seconds=5)
    simulator.webhook_status()
    assert simulator.release_webhooks() == 1
    simulator.webhook_status()

    assert mailbox.received()[-1]["modifiedTime"] == first.modified_time.strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    assert simulator.webhook_status().held == ()


def test_hint_omits_the_ticket(simulator: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    simulator.send_webhooks(hint=True)
    simulator.change(1)
    simulator.webhook_status()
    assert set(mailbox.received()[0]) == {"id", "type", "ticketId", "modifiedTime"}


def test_rejected_webhook_is_retried_as_configured(
    simulator: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    mailbox.statuses = [503, 503]
    simulator.send_webhooks(tries=3)
    simulator.change(1)
    assert simulator.webhook_status().answers == {"200": 1}
    assert len({body for _, body in mailbox.posts}) == 1

    mailbox.statuses = [503]
    simulator.send_webhooks(tries=1)
    simulator.change(1)
    assert simulator.webhook_status().answers == {"200": 1, "503": 1}


def test_unreachable_receiver_is_recorded(simulator: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    simulator.send_webhooks(url="http://127.0.0.1:9/webhooks/rest")
    simulator.change(2)
    assert simulator.webhook_status().answers == {"failed": 2}


def test_without_a_url_nothing_is_sent(simulator: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    simulator.send_webhooks(url="", lose=1)
    simulator.change(2)
    assert (simulator.webhook_status().lost, mailbox.posts) == ((), [])


def test_invalid_orders_are_rejected(simulator: SimulatedHelpdesk) -> None:
    with pytest.raises(SimulatorError, match="unknown key 'mangle'"):
        simulator.send_webhooks(mangle=1)
    with pytest.raises(SimulatorError, match="wrong type"):
        simulator.send_webhooks(lose="all")
