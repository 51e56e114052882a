"""The part of the seam between operations and a warehouse that is about webhook events.

`stores.webhook_inbox.WebhookInbox` keeps it in BigQuery. No signature here knows SQL, a client or a
table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from helpdesk_assets.model.webhook_events import EventOutcome, ReadTicket, WebhookEvent
from helpdesk_assets.warehouse.table_spec import MergeReport


class EventInbox(Protocol):
    """The events that receivers have appended, and what became of each."""

    def has_webhook_events(self) -> bool:
        """Return whether a receiver has ever appended an event; costs no query."""
        ...

    def events_mark(self) -> str | None:
        """Return a mark of the stored events, which each further one changes; costs no query.

        None if the tables' metadata cannot tell whether one was appended just now.
        """
        ...

    def drained_mark(self) -> str | None:
        """Return what `note_drained` noted last; None: nothing. Costs no query."""
        ...

    def note_drained(self, mark: str) -> None:
        """Note that no event waits, as a text of letters in lower case, digits and dashes."""
        ...

    def pending_events(self, since: datetime, *, run_id: str) -> Iterator[WebhookEvent]:
        """Yield the events without an outcome, each once, as they are needed.

        They come ticket by ticket, in the order in which the tickets' first events arrived, and
        those of a ticket in order of arrival. One whose stored ticket cannot be read comes as
        `EventKind.TICKET` without a ticket.

        Args:
            since: events that arrived before are left out.
            run_id: the run on whose behalf they are read.
        """
        ...

    def known_tickets(self, ids: Collection[str], *, run_id: str) -> frozenset[str]:
        """Return those of the tickets that have a row, deleted or not."""
        ...

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        """Bring the tickets table up to date with these versions, at most one for each ticket.

        Raises:
            DataRefused: one of them cannot be stored as it is; nothing was written.
        """
        ...

    def record_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        """Append what became of events; returns once that is durable."""
        ...
