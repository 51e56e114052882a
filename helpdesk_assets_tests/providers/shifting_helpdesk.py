"""A helpdesk in memory whose tickets change between calls, with offsets as page tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.paging.by_time import EPOCH, floor
from helpdesk_assets.providers.paging.by_token import ListPage

SECOND = timedelta(seconds=1)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def ticket(ticket_id: str, seconds: float, revision: int = 0) -> Ticket:
    return Ticket(
        ticket_id=ticket_id,
        subject=None,
        status=None,
        priority=None,
        assignee=None,
        created_time=None,
        modified_time=at(seconds),
        deleted_time=None,
        raw_json="{}",
        content_hash=f"{ticket_id}/{revision}",
    )


@dataclass
class ShiftingHelpdesk:
    """A helpdesk that calls `between` before every call but the first.

    `hidden` tickets occupy positions in pages, like those that an account may not see. `untimed`
    ones give unreadable rows.
    """

    tickets: dict[str, Ticket]
    now: float
    page_size: int = 3
    between: Callable[[ShiftingHelpdesk], None] = lambda _: None
    hidden: frozenset[str] = frozenset()
    untimed: frozenset[str] = frozenset()
    calls: list[tuple[datetime, datetime, str | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, ticket_id: str) -> None:
        old = self.tickets[ticket_id]
        revision = int(old.content_hash.split("/")[1]) + 1
        self.tickets[ticket_id] = ticket(ticket_id, int(self.now), revision)

    def fetch(self, start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        with self.lock:
            return self._fetch(start, end, token)

    def _fetch(self, start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        if self.calls:
            self.between(self)
        self.calls.append((start, end, token))
        found = sorted(
            (t for t in self.tickets.values() if start <= t.modified_time <= end),
            key=lambda t: (t.modified_time, t.ticket_id),
        )
        offset = int(token or 0)
        rows = found[offset : offset + self.page_size]
        further = offset + self.page_size
        seen = [row for row in rows if row.ticket_id not in self.hidden]
        return ListPage(
            rows=tuple(row for row in seen if row.ticket_id not in self.untimed),
            bad=tuple(
                BadTicket(row.ticket_id, "modifiedTime", "is absent")
                for row in seen
                if row.ticket_id in self.untimed
            ),
            next_token=str(further) if further < len(found) else None,
            served_at=floor(at(self.now), SECOND),
        )
