"""The values that a vendor's webhooks yield: a post and its events.

Must not know vendors, or what becomes of an event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing import exact_json

# A body with no more brackets than this cannot be nested too deep to be written as JSON again.
MAX_UNCHECKED_BRACKETS = 200


@dataclass(frozen=True, slots=True)
class Post:
    """One request as received.

    Attributes:
        body: the unchanged bytes.
        headers: the headers, their names in lower case.
        query: the parameters of the URL.
        received_at: when it arrived, by the receiver's clock.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    received_at: datetime

    def payload(self) -> Any:
        """Parse the body as JSON; see `exact_json` for how numbers are read.

        Raises:
            ValueError: the body is not JSON, or is nested deeper than can be stored.
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
    """One change that a vendor reports.

    Attributes:
        event_id: equal for two deliveries of one event; None if the vendor sends no such id.
        ticket_id: the ticket that changed.
        type: the vendor's name for the kind of event.
        modified_time: when the change happened by the helpdesk's clock, None if not reported.
        ticket: the changed ticket; None if the payload is only a hint and the ticket must be
            fetched.
        deleted: whether the change is a deletion.
        content: the vendor's payload.
    """

    event_id: str | None
    ticket_id: str
    type: str
    modified_time: datetime | None
    ticket: Ticket | None
    deleted: bool
    content: Any = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a post proves about its sender.

    Attributes:
        is_signed: whether the sender knows one of the secrets.
        time_off: how much the signed time is ahead of ours, negative if it is behind; None if the
            difference is within the tolerance, or the vendor signs no time.
    """

    is_signed: bool
    time_off: timedelta | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the post comes from the vendor, and is no copy of an old one."""
        return self.is_signed and self.time_off is None


@dataclass(frozen=True, slots=True)
class WebhookFormat:
    """What differs between helpdesks that send webhooks.

    Attributes:
        name: the provider's name as in HELPDESK_PROVIDER.
        timeout: seconds to answer in, a little less than the vendor waits before it counts the
            post as failed.
        verify: what a post proves about its sender. It compares in constant time, and with every
            secret even after a match. Raises EndpointFailed if the vendor's keys are out of reach.
        read: returns the events of a verified post, none if it is not about a ticket. Raises
            ValueError if the body is not JSON or names no ticket, TicketUnreadable if it holds a
            ticket that cannot be stored.
    """

    name: str
    timeout: float
    verify: Callable[[Post, tuple[str, ...]], Verification]
    read: Callable[[Post], list[Event]]


def event_digest(event: Event, at: datetime) -> str:
    """Return an id for an event without one, equal for two deliveries of the same event.

    It includes a time, because some bodies carry none: otherwise every change of a ticket would
    look like the first, and only the first would be merged. Who has no better time takes that of
    arrival; then an event that is sent again looks like another, which costs one more fetch.

    Args:
        event: the event.
        at: when the change happened by the event, or else when its post arrived.
    """
    parts = [event.ticket_id, at.isoformat(), event.type, exact_json.compose(event.content)]
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return f"digest-{hashlib.blake2b(text, digest_size=16).hexdigest()}"
