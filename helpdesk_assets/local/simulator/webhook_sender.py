"""The webhooks of the simulated helpdesk: of the `rest` kind, signed, as reliable as it is told.

A real vendor loses some, sends some twice, late, or in another order, and says nothing of it. Here
that is done on order, to the next so many changes, so that a test knows which.

    X-Helpdesk-Timestamp: seconds since 1970
    X-Helpdesk-Signature: hex of HMAC-SHA256(secret, timestamp + body)

The timestamp is of real time whatever the helpdesk's clock shows: receivers compare it with theirs.
"""

from __future__ import annotations

import hmac
import json
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import requests

from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

# As many as a busy vendor may have under way at one receiver.
MAX_SENDERS = 8
_TIMEOUT_SECONDS = 30.0
_RETRY_DELAY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where webhooks go, and what shall become of the next ones.

    Attributes:
        url: whole, such as `http://127.0.0.1:8430/webhooks/rest`; empty: nobody is told.
        secret: what they are signed with.
        hint: leave the ticket out, so that the receiver has to fetch it.
        tries: how often one is posted at most, until it is answered with 2xx.
        lose: so many of the next are never sent.
        hold: so many after those are kept until they are released.
        double: so many after those are sent twice.
    """

    url: str = ""
    secret: str = ""
    hint: bool = False
    tries: int = 1
    lose: int = 0
    hold: int = 0
    double: int = 0


@dataclass(frozen=True, slots=True)
class _OutgoingWebhook:
    ticket_id: str
    modified: str
    body: bytes


class WebhookSender:
    """Told of changes by the desk's thread; posts in threads of its own, which end when there is
    nothing left to post."""

    def __init__(self, raw_ticket: Callable[[TicketVersion], Any]) -> None:
        self._whole = raw_ticket
        self._options = WebhookOptions()
        self._queue: queue.SimpleQueue[_OutgoingWebhook] = queue.SimpleQueue()
        self._held: list[_OutgoingWebhook] = []
        self._lost: list[_OutgoingWebhook] = []
        self._answers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._pending = 0
        self._running_senders = 0

    @property
    def is_settled(self) -> bool:
        """Whether everything that was to be sent has been answered, or given up."""
        with self._lock:
            return self._pending == 0

    def configure(self, changed: Json) -> None:
        """Change some of the orders; the others stay."""
        self._options = replace(self._options, **changed)

    def on_change(self, kind: str, version: TicketVersion) -> None:
        """A ticket has changed: tell whoever is to be told."""
        options = self._options
        if not options.url:
            return
        webhook = self._build_webhook(kind, version)
        if options.lose > 0:
            self._options = replace(options, lose=options.lose - 1)
            self._lost.append(webhook)
        elif options.hold > 0:
            self._options = replace(options, hold=options.hold - 1)
            self._held.append(webhook)
        elif options.double > 0:
            self._options = replace(options, double=options.double - 1)
            self._post(webhook, webhook)
        else:
            self._post(webhook)

    def release(self, *, newest_first: bool) -> int:
        """Send what was held; how many there were."""
        held, self._held = self._held, []
        self._post(*(reversed(held) if newest_first else held))
        return len(held)

    def describe(self) -> Json:
        """`lost` and `held` by ticket and time; `answers` by status, `failed` where none came."""
        with self._lock:
            return {
                "pending": self._pending,
                "answers": dict(sorted(self._answers.items())),
                "lost": [_webhook_key(webhook) for webhook in self._lost],
                "held": [_webhook_key(webhook) for webhook in self._held],
            }

    def _build_webhook(self, kind: str, version: TicketVersion) -> _OutgoingWebhook:
        modified = to_text(version.visible_modified)
        payload: Json = {
            "id": uuid.uuid4().hex,
            "type": f"ticket.{kind}",
            "ticketId": version.ticket_id,
            "modifiedTime": modified,
        }
        if not self._options.hint and kind != "deleted":
            payload["ticket"] = self._whole(version)
        body = json.dumps(payload, ensure_ascii=False).encode()
        return _OutgoingWebhook(version.ticket_id, modified, body)

    def _post(self, *letters: _OutgoingWebhook) -> None:
        with self._lock:
            self._pending += len(letters)
            for webhook in letters:
                self._queue.put(webhook)
            new_threads = min(self._pending, MAX_SENDERS) - self._running_senders
            self._running_senders += max(new_threads, 0)
        for _ in range(new_threads):
            threading.Thread(target=self._send_all, name="webhook-sender", daemon=True).start()

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (webhook := self._next()) is not None:
                answer = self._send(session, webhook)
                with self._lock:
                    self._answers[answer] += 1
                    self._pending -= 1

    def _next(self) -> _OutgoingWebhook | None:
        with self._lock:
            try:
                return self._queue.get_nowait()
            except queue.Empty:
                self._running_senders -= 1
                return None

    def _send(self, session: requests.Session, webhook: _OutgoingWebhook) -> str:
        options, outcome = self._options, "failed"
        for attempt in range(options.tries):
            if attempt:
                time.sleep(_RETRY_DELAY_SECONDS)
            headers = {"Content-Type": "application/json", **sign(webhook.body, options.secret)}
            try:
                answer = session.post(
                    options.url, data=webhook.body, headers=headers, timeout=_TIMEOUT_SECONDS
                )
            except requests.RequestException:
                outcome = "failed"
                continue
            outcome = str(answer.status_code)
            if answer.ok:
                break
        return outcome


def sign(body: bytes, secret: str) -> dict[str, str]:
    """The headers by which a receiver knows who posts."""
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), stamp.encode() + body, "sha256").hexdigest()
    return {"X-Helpdesk-Timestamp": stamp, "X-Helpdesk-Signature": signature}


def _webhook_key(webhook: _OutgoingWebhook) -> Json:
    return {"id": webhook.ticket_id, "modifiedTime": webhook.modified}
