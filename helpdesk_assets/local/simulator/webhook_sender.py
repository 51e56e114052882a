"""Signed webhooks in the `rest` format, with configurable losses.

A real vendor loses some webhooks, sends some twice, late or out of order, and reports nothing. Here
`WebhookOptions` applies this to the next changes, so that a test knows which.

    webhook-id: the event's id
    webhook-timestamp: seconds since 1970
    webhook-signature: v1,BASE64 of HMAC-SHA256(secret, id.timestamp.body)

The timestamp is real time, not the helpdesk's: receivers compare it with their own clock.
"""

from __future__ import annotations

import base64
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
from helpdesk_assets.providers.webhooks.verification import standard_key

# As many concurrent calls as a busy vendor may make to one receiver.
MAX_SENDERS = 8
_TIMEOUT_SECONDS = 30.0
_RETRY_DELAY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Target of the webhooks, and treatment of the next ones.

    Attributes:
        url: full URL, such as `http://127.0.0.1:8430/webhooks/rest`; empty: send no webhooks.
        secret: key of the signature.
        hint: leave out the ticket, so that the receiver has to fetch it.
        tries: maximum number of posts until the answer is 2xx.
        lose: number of next webhooks that are never sent.
        hold: number of webhooks after those that are held until `release`.
        double: number of webhooks after those that are sent twice.
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
    event_id: str
    ticket_id: str
    modified: str
    body: bytes


class WebhookSender:
    """Sends webhooks in its own threads, which end when the queue is empty.

    All methods are called from the helpdesk's thread.
    """

    def __init__(self, raw_ticket: Callable[[TicketVersion], Any]) -> None:
        self._raw_ticket = raw_ticket
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
        """Whether every queued webhook is answered or given up."""
        with self._lock:
            return self._pending == 0

    def configure(self, changed: Json) -> None:
        """Change some of the options; the others stay."""
        self._options = replace(self._options, **changed)

    def on_change(self, kind: str, version: TicketVersion) -> None:
        """Send, lose, hold or double the webhook of a change, as the options say."""
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
        """Send the held webhooks; returns their number."""
        held, self._held = self._held, []
        self._post(*(reversed(held) if newest_first else held))
        return len(held)

    def describe(self) -> Json:
        """Return the counts as the admin API's JSON; see `admin_answers.WebhookStatus`."""
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
            payload["ticket"] = self._raw_ticket(version)
        body = json.dumps(payload, ensure_ascii=False).encode()
        return _OutgoingWebhook(payload["id"], version.ticket_id, modified, body)

    def _post(self, *webhooks: _OutgoingWebhook) -> None:
        with self._lock:
            self._pending += len(webhooks)
            for webhook in webhooks:
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
            headers = {
                "Content-Type": "application/json",
                **sign(webhook.event_id, webhook.body, options.secret),
            }
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


def sign(event_id: str, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers of Standard Webhooks, by which a receiver verifies the sender."""
    stamp = str(int(time.time()))
    signed = hmac.digest(standard_key(secret), f"{event_id}.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def _webhook_key(webhook: _OutgoingWebhook) -> Json:
    return {"id": webhook.ticket_id, "modifiedTime": webhook.modified}
