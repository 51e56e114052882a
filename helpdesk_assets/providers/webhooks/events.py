"""What passes through the receiver: a post, the events it tells of, and deliveries to be stored.

Pure values; which vendor they came from, and where they go, is others' business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing import exact_json

# A body with no more brackets than that can be written as JSON again.
MAX_UNCHECKED_BRACKETS = 200


@dataclass(frozen=True, slots=True)
class Post:
    """One request as it came: header names in lower case, the body untouched."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    received_at: datetime

    def payload(self) -> Any:
        """The body as JSON; see `exact_json` for what becomes of numbers.

        Raises:
            ValueError: it is none, or nested deeper than can be stored.
        """
        payload = exact_json.parse(self.body)
        if self.body.count(b"[") + self.body.count(b"{") > MAX_UNCHECKED_BRACKETS:
            try:
                exact_json.compose(payload)
            except RecursionError:
                raise ValueError("nested too deep") from None
        return payload


@dataclass(frozen=True, slots=True)
class Event:
    """One change that a vendor tells of.

    `event_id` None: the vendor gives none that tells two deliveries of one event. `modified_time`
    is the change's by the helpdesk's clock, where it is told. `ticket` None: the payload is a hint,
    and the ticket is to be fetched. `content` is what the vendor said, in its own words.
    """

    event_id: str | None
    ticket_id: str
    type: str
    modified_time: datetime | None
    ticket: Ticket | None
    deleted: bool
    content: Any = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class WebhookFormat:
    """What differs between helpdesks that send webhooks.

    Attributes:
        name: the provider's name as in HELPDESK_PROVIDER.
        waits: seconds after which it takes its post for failed, a little less.
        verify: whether a post comes from who knows one of the secrets. It compares in constant
            time, and with each of the secrets whether or not an earlier one was right.
        read: the events of a verified post; none where it tells of no ticket. Raises ValueError
            where the body is not JSON or names no ticket, TicketUnreadable where it holds a
            ticket that cannot be stored.
    """

    name: str
    timeout: float
    verify: Callable[[Post, tuple[str, ...]], bool]
    read: Callable[[Post], list[Event]]


def event_digest(event: Event, modified_time: datetime) -> str:
    """An id for an event that came without one: equal for two deliveries of the same event.

    The time is in it because some bodies carry none, and every change of a ticket would otherwise
    look like its first.
    """
    parts = [
        event.ticket_id,
        modified_time.isoformat(),
        event.type,
        exact_json.compose(event.content),
    ]
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return f"digest-{hashlib.blake2b(text, digest_size=16).hexdigest()}"
