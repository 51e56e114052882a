"""Answers of the simulator's admin API as types.

Needs only the standard library, so that it can be imported where no server is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class TrueTicket:
    """A ticket's true state in the helpdesk.

    Attributes:
        ticket_id: the vendor's id.
        created_time: creation time.
        modified_time: modified time that the API shows.
        raw_ticket: the ticket as in the vendor's lists; None if it was not requested.
        removal_kind: `deleted`, `spam` or `merged`; None for a live ticket.
        removed_at: time of the removal.
    """

    ticket_id: str
    created_time: datetime
    modified_time: datetime
    raw_ticket: dict[str, Any] | None = None
    removal_kind: str | None = None
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Calls of the vendor's API: `calls[endpoint][status]`, where status may be `dropped`."""

    calls: Mapping[str, Mapping[str, int]]
    tickets_served: int
    bytes: int
    max_concurrent: int

    def of(self, endpoint: str) -> int:
        """Return the calls of one of `fault_registry.ENDPOINTS`, whatever their status."""
        return sum(self.calls.get(endpoint, {}).values())

    @property
    def total(self) -> int:
        """Calls of all endpoints."""
        return sum(map(self.of, self.calls))


@dataclass(frozen=True, slots=True)
class ClockState:
    """The helpdesk's clock; `offset_seconds` is its difference to real time."""

    now: datetime
    frozen: bool
    offset_seconds: float


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Counts of webhooks.

    `answers` counts by HTTP status, or `failed` without an answer. `lost` and `held` are pairs of
    ticket id and modified time.
    """

    pending: int
    answers: Mapping[str, int]
    lost: tuple[tuple[str, datetime], ...]
    held: tuple[tuple[str, datetime], ...]


def parse_ticket(row: Mapping[str, Any]) -> TrueTicket:
    """Parse a ticket of the answers about tickets."""
    removal = row.get("end")
    return TrueTicket(
        row["id"],
        datetime.fromisoformat(row["createdTime"]),
        datetime.fromisoformat(row["modifiedTime"]),
        row.get("ticket"),
        removal["kind"] if removal else None,
        datetime.fromisoformat(removal["at"]) if removal else None,
    )


def parse_webhook_status(seen: Mapping[str, Any]) -> WebhookStatus:
    """Parse the answer about webhooks."""
    lost, held = (
        tuple((row["id"], datetime.fromisoformat(row["modifiedTime"])) for row in seen[name])
        for name in ("lost", "held")
    )
    return WebhookStatus(seen["pending"], seen["answers"], lost, held)
