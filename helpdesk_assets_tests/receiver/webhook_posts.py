"""Senders of webhooks in each vendor's format, with the answers that they receive."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

SECRET = "a-secret-of-more-than-sixteen"
START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def whole_ticket(number: int, revision: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a raw ticket of the `rest` API; each revision is a second newer."""
    return {
        "id": str(number),
        "subject": f"Printer {number}",
        "status": "Open",
        "priority": "High",
        "assignee": "ann@example.com",
        "createdTime": text(START),
        "modifiedTime": text(START + timedelta(seconds=revision)),
        "updateCount": revision,
        **fields,
    }


def rest_event(ticket: Mapping[str, Any], event_id: str | None, **changed: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "ticket.updated",
        "ticketId": ticket["id"],
        "modifiedTime": ticket["modifiedTime"],
        "ticket": dict(ticket),
        **changed,
    }


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rest_headers(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    signature = hmac.digest(secret.encode(), f"msg_1.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def zendesk_headers(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    stamp = text(at)
    signature = hmac.digest(secret.encode(), stamp.encode() + body, "sha256")
    return {
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
        "X-Zendesk-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Zendesk-Webhook-Invocation-Id": "01HINVOCATION",
    }


class Sender:
    """Posts to one receiver in the `rest` format."""

    def __init__(self, url: str, helpdesk: str = "rest") -> None:
        self.url = url
        self._path = f"{url}/webhooks/{helpdesk}"
        self._session = requests.Session()
        self._session.trust_env = False

    def send(self, event: Any, **signed: Any) -> requests.Response:
        body = json.dumps(event).encode()
        return self.post(body, rest_headers(body, **signed))

    def post(self, body: Any, headers: Mapping[str, str], query: str = "") -> requests.Response:
        return self._session.post(self._path + query, data=body, headers=dict(headers), timeout=60)

    def request(self, method: str = "GET") -> requests.Response:
        return self._session.request(method, self._path, timeout=60)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self._session.get(f"{self.url}/healthz", timeout=60).json()
        return found

    def close(self) -> None:
        self._session.close()
