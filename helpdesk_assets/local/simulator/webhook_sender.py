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
from helpdesk_assets.local.simulator.ticket_factory import Json, Version

# As many as a busy vendor may have under way at one receiver.
SENDERS = 8
_TIMEOUT_SECONDS = 30.0
_PATIENCE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Orders:
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
class _Letter:
    ticket_id: str
    modified: str
    body: bytes


class Deliveries:
    """Told of changes by the desk's thread; posts in threads of its own, which end when there is
    nothing left to post."""

    def __init__(self, whole: Callable[[Version], Any]) -> None:
        self._whole = whole
        self._orders = Orders()
        self._letters: queue.SimpleQueue[_Letter] = queue.SimpleQueue()
        self._held: list[_Letter] = []
        self._lost: list[_Letter] = []
        self._answers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._pending = 0
        self._senders = 0

    @property
    def is_settled(self) -> bool:
        """Whether everything that was to be sent has been answered, or given up."""
        with self._lock:
            return self._pending == 0

    def order(self, changed: Json) -> None:
        """Change some of the orders; the others stay."""
        self._orders = replace(self._orders, **changed)

    def note(self, kind: str, version: Version) -> None:
        """A ticket has changed: tell whoever is to be told."""
        orders = self._orders
        if not orders.url:
            return
        letter = self._written(kind, version)
        if orders.lose > 0:
            self._orders = replace(orders, lose=orders.lose - 1)
            self._lost.append(letter)
        elif orders.hold > 0:
            self._orders = replace(orders, hold=orders.hold - 1)
            self._held.append(letter)
        elif orders.double > 0:
            self._orders = replace(orders, double=orders.double - 1)
            self._post(letter, letter)
        else:
            self._post(letter)

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
                "lost": [_named(letter) for letter in self._lost],
                "held": [_named(letter) for letter in self._held],
            }

    def _written(self, kind: str, version: Version) -> _Letter:
        modified = to_text(version.shown_time)
        told: Json = {
            "id": uuid.uuid4().hex,
            "type": f"ticket.{kind}",
            "ticketId": version.ticket_id,
            "modifiedTime": modified,
        }
        if not self._orders.hint and kind != "deleted":
            told["ticket"] = self._whole(version)
        body = json.dumps(told, ensure_ascii=False).encode()
        return _Letter(version.ticket_id, modified, body)

    def _post(self, *letters: _Letter) -> None:
        with self._lock:
            self._pending += len(letters)
            for letter in letters:
                self._letters.put(letter)
            wanted = min(self._pending, SENDERS) - self._senders
            self._senders += max(wanted, 0)
        for _ in range(wanted):
            threading.Thread(target=self._send_all, name="webhook-sender", daemon=True).start()

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (letter := self._next()) is not None:
                answer = self._send(session, letter)
                with self._lock:
                    self._answers[answer] += 1
                    self._pending -= 1

    def _next(self) -> _Letter | None:
        with self._lock:
            try:
                return self._letters.get_nowait()
            except queue.Empty:
                self._senders -= 1
                return None

    def _send(self, session: requests.Session, letter: _Letter) -> str:
        orders, said = self._orders, "failed"
        for tried in range(orders.tries):
            if tried:
                time.sleep(_PATIENCE_SECONDS)
            headers = {"Content-Type": "application/json", **sign(letter.body, orders.secret)}
            try:
                answer = session.post(
                    orders.url, data=letter.body, headers=headers, timeout=_TIMEOUT_SECONDS
                )
            except requests.RequestException:
                said = "failed"
                continue
            said = str(answer.status_code)
            if answer.ok:
                break
        return said


def sign(body: bytes, secret: str) -> dict[str, str]:
    """The headers by which a receiver knows who posts."""
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), stamp.encode() + body, "sha256").hexdigest()
    return {"X-Helpdesk-Timestamp": stamp, "X-Helpdesk-Signature": signature}


def _named(letter: _Letter) -> Json:
    return {"id": letter.ticket_id, "modifiedTime": letter.modified}
