"""Webhook events as they are stored, and what became of each.

Values only: no SQL, no HTTP. Every datetime is aware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from helpdesk_assets.model.tickets import Ticket

# A deletion counts as read until its event came, but not for long: it must not undo a later
# reading.
DELETION_TOLD_WITHIN = timedelta(minutes=15)


class EventKind(StrEnum):
    """What an event brings: its ticket, only its id, or only the word that it is deleted."""

    TICKET = "ticket"
    HINT = "hint"
    DELETION = "deletion"


class Outcome(StrEnum):
    """What became of an event.

    `merged`: tickets has this version or a newer one. `unknown_ticket`: the helpdesk has no such
    ticket, or nothing but the event says that it ever existed. `not_stored`: the ticket cannot be
    stored as it is.
    """

    MERGED = "merged"
    UNKNOWN_TICKET = "unknown_ticket"
    NOT_STORED = "not_stored"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One verified event of a webhook.

    Attributes:
        event_id: the vendor's id of the event, or a digest of it.
        ticket_id: the ticket that it is about.
        type: the vendor's name for the kind of event.
        kind: what it brings.
        helpdesk: the provider's name.
        received_at: when its post arrived, by the receiver's clock.
        modified_time: when the change happened by the helpdesk's clock, None if not reported.
        ticket: the version that it brings; None for a hint, and for a deletion without one.
        committed_at: when it was appended, by the receiver's clock; None before.
    """

    event_id: str
    ticket_id: str
    type: str
    kind: EventKind
    helpdesk: str
    received_at: datetime
    modified_time: datetime | None = None
    ticket: Ticket | None = None
    committed_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """Return the event as a row of webhook_events."""
        ticket = self.ticket
        return {
            "event_id": self.event_id,
            "ticket_id": self.ticket_id,
            "type": self.type,
            "kind": self.kind.value,
            "modifiedTime": self.modified_time,
            "deleted": self.kind is EventKind.DELETION or bool(ticket and ticket.deleted_time),
            "ticket": ticket_to_text(ticket) if ticket else None,
            "received_at": self.received_at,
            "committed_at": self.committed_at,
            "helpdesk": self.helpdesk,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> WebhookEvent:
        """Read a row of webhook_events.

        Raises:
            ValueError: the row is not one that `row` made.
        """
        text = row["ticket"]
        return cls(
            event_id=row["event_id"],
            ticket_id=row["ticket_id"],
            type=row["type"] or "",
            kind=EventKind(row["kind"]),
            helpdesk=row["helpdesk"] or "",
            received_at=row["received_at"],
            modified_time=row["modifiedTime"],
            ticket=ticket_from_text(text) if text else None,
            committed_at=row["committed_at"],
        )


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """A version to merge, and the helpdesk's clock when the ticket was so."""

    ticket: Ticket
    read_at: datetime


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What became of one event.

    Attributes:
        event_id: the event.
        ticket_id: its ticket.
        received_at: when it arrived; the same as in webhook_events.
        outcome: what became of it.
        modified_time: the version that was merged for it, None if none was.
        reason: why it was not merged, for a person.
        merged_at: when that was known, by the clock of whoever merged.
        run_id: who merged it.
    """

    event_id: str
    ticket_id: str
    received_at: datetime
    outcome: Outcome
    modified_time: datetime | None
    reason: str | None
    merged_at: datetime
    run_id: str

    def row(self) -> dict[str, Any]:
        """Return the outcome as a row of webhook_outcomes."""
        return {
            "event_id": self.event_id,
            "ticket_id": self.ticket_id,
            "received_at": self.received_at,
            "outcome": self.outcome.value,
            "modifiedTime": self.modified_time,
            "reason": self.reason,
            "merged_at": self.merged_at,
            "_run_id": self.run_id,
        }


def ticket_to_text(ticket: Ticket) -> str:
    """Return a ticket as JSON text. `raw_json` stays text within it, so no number is touched."""
    return msgspec.json.encode(ticket).decode()


def ticket_from_text(text: str) -> Ticket:
    """Read a ticket that `ticket_to_text` wrote.

    Raises:
        ValueError: it is not one.
    """
    return msgspec.json.decode(text, type=Ticket)
