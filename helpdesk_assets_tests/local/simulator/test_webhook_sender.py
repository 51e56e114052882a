"""The simulated helpdesk's webhooks: signed, and lost, held and doubled on order."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from helpdesk_assets.local.simulator.admin_client import SimulatorRefused
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

SECRET = "a-secret-of-more-than-sixteen"


class Mailbox:
    """Somebody who is told of changes; `statuses` are answered in turn, then 200."""

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
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/rest"

    def told(self) -> list[dict[str, Any]]:
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
def desk(mailbox: Mailbox) -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=20, frozen=True) as desk:
        desk.send_webhooks(url=mailbox.url, secret=SECRET)
        yield desk
        desk.delivered()


def test_a_change_is_told_with_the_whole_ticket_and_signed(
    desk: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    (changed,) = desk.change(1, fields={"subject": "größer"})
    assert desk.delivered().answers == {"200": 1}

    ((headers, body),) = mailbox.posts
    stamp = headers["X-Helpdesk-Timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    wanted = hmac.new(SECRET.encode(), stamp.encode() + body, "sha256").hexdigest()
    assert headers["X-Helpdesk-Signature"] == wanted
    told = json.loads(body)
    truth = {each.ticket_id: each.whole for each in desk.truth(whole=True)}
    assert told["ticket"] == truth[changed.ticket_id]
    assert (told["type"], told["ticketId"]) == ("ticket.updated", changed.ticket_id)


def test_making_and_deleting_are_told_too(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    (made,) = desk.create()
    desk.delivered()
    desk.delete(ids=[made.ticket_id])
    desk.delivered()

    created, deleted = mailbox.told()
    assert (created["type"], created["ticketId"]) == ("ticket.created", made.ticket_id)
    assert (deleted["type"], deleted["ticketId"]) == ("ticket.deleted", made.ticket_id)
    assert "ticket" not in deleted
    assert created["id"] != deleted["id"]


def test_changes_by_the_system_are_not_told(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    desk.change(3, silent=True)
    desk.delivered()
    assert mailbox.posts == []


def test_the_next_ones_are_lost_held_and_doubled(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    desk.send_webhooks(lose=2, hold=2, double=1)
    changed = [(each.ticket_id, each.modified_time) for each in desk.change(6, spread_seconds=6)]
    seen = desk.delivered()

    assert (seen.lost, seen.held) == (tuple(changed[:2]), tuple(changed[2:4]))
    assert sorted(told["ticketId"] for told in mailbox.told()) == sorted(
        ticket_id for ticket_id, _ in [changed[4], changed[4], changed[5]]
    )
    assert len({told["id"] for told in mailbox.told()}) == 2


def test_held_ones_come_late_with_what_they_held(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    (ticket_id,) = (each.ticket_id for each in desk.change(1))
    desk.delivered()
    desk.send_webhooks(hold=1)
    (first,) = desk.change(ids=[ticket_id], spread_seconds=5)
    desk.change(ids=[ticket_id], spread_seconds=5)
    desk.delivered()
    assert desk.release_webhooks() == 1
    desk.delivered()

    assert mailbox.told()[-1]["modifiedTime"] == first.modified_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert desk.delivered().held == ()


def test_a_hint_leaves_the_ticket_out(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    desk.send_webhooks(hint=True)
    desk.change(1)
    desk.delivered()
    assert set(mailbox.told()[0]) == {"id", "type", "ticketId", "modifiedTime"}


def test_what_is_refused_is_sent_again_as_often_as_told(
    desk: SimulatedHelpdesk, mailbox: Mailbox
) -> None:
    mailbox.statuses = [503, 503]
    desk.send_webhooks(tries=3)
    desk.change(1)
    assert desk.delivered().answers == {"200": 1}
    assert len({body for _, body in mailbox.posts}) == 1

    mailbox.statuses = [503]
    desk.send_webhooks(tries=1)
    desk.change(1)
    assert desk.delivered().answers == {"200": 1, "503": 1}


def test_nobody_there_is_told(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    desk.send_webhooks(url="http://127.0.0.1:9/webhooks/rest")
    desk.change(2)
    assert desk.delivered().answers == {"failed": 2}


def test_without_a_url_nothing_is_sent(desk: SimulatedHelpdesk, mailbox: Mailbox) -> None:
    desk.send_webhooks(url="", lose=1)
    desk.change(2)
    assert (desk.delivered().lost, mailbox.posts) == ((), [])


def test_orders_that_are_none_are_refused(desk: SimulatedHelpdesk) -> None:
    with pytest.raises(SimulatorRefused, match="no 'mangle' here"):
        desk.send_webhooks(mangle=1)
    with pytest.raises(SimulatorRefused, match="wrong type"):
        desk.send_webhooks(lose="all")
