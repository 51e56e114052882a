"""Defines what the receiver stores for one event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import Ticket

DELETION_TOLD_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event with the ticket version to store for it.

    Attributes:
        event_id: the vendor's id for the event, or a digest.
        type: the vendor's name for the kind of event.
        helpdesk: the provider's name.
        received_at: when its post arrived, by the receiver's clock.
        ticket: the version to store.
        fetched_at: the helpdesk's clock when it returned the ticket; None if the event brought it.
        only_told: the ticket is deleted, and nothing but the event says that it ever existed. A
            test of the webhook looks the same, so it is stored only if the ticket is known.
    """

    event_id: str
    type: str
    helpdesk: str
    received_at: datetime
    ticket: Ticket
    fetched_at: datetime | None = None
    only_told: bool = False

    @property
    def read_at(self) -> datetime:
        """The helpdesk's clock when the ticket was as it is told here.

        A ticket that an event brings was so when it changed, however late the event comes. A
        deletion counts from then to its event, but not for long: it must not undo a later reading.
        """
        ticket = self.ticket
        if ticket.tombstone:
            deleted_at, received_at = ticket.modified_time, self.received_at
            latest = min(deleted_at, received_at) + DELETION_TOLD_WITHIN
            return min(max(deleted_at, received_at), latest)
        return self.fetched_at or ticket.modified_time

    @property
    def size(self) -> int:
        """About how many bytes it adds to a statement, in which non-ASCII text is escaped."""
        raw_json = self.ticket.raw_json
        return 600 + (len(raw_json) if raw_json.isascii() else len(json.dumps(raw_json)))
