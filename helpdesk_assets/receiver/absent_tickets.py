"""Decides what a helpdesk means that has no ticket of the id in an event.

One such answer proves no deletion: a helpdesk may announce a ticket before its own reading side
shows it. So the vendor is asked to send again until every list of the helpdesk had time to show the
ticket. After that nothing is written either, since only the vendor's own word is a deletion: the
sync and the reconciliation find the others.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from helpdesk_assets.receiver.rejections import NoSuchTicket, NotFoundYet, Rejection

MAX_REMEMBERED = 10_000


class AbsentTickets:
    """When each ticket was first absent; for one event loop."""

    def __init__(self, shown_within: timedelta) -> None:
        """Set up; `shown_within` is how long a helpdesk may take to show a ticket."""
        self._shown_within = shown_within
        self._since: dict[str, datetime] = {}

    def rejection(self, ticket_id: str, changed_at: datetime | None, now: datetime) -> Rejection:
        """Return the answer to an event that is no deletion.

        Args:
            ticket_id: the ticket that the helpdesk does not have.
            changed_at: when the change happened, by the event.
            now: the current time.
        """
        since = min(self._since.setdefault(ticket_id, now), changed_at or now)
        if len(self._since) > MAX_REMEMBERED:
            del self._since[next(iter(self._since))]
        return NotFoundYet() if now - since < self._shown_within else NoSuchTicket()

    def found(self, ticket_id: str) -> None:
        """Forget a ticket that the helpdesk has shown."""
        self._since.pop(ticket_id, None)
