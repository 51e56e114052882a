"""Writes the searches of the `request_tracker` adapter, in RT's TicketSQL and TransactionSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.paging.by_time import END_OF_TIME, EPOCH
from helpdesk_assets.providers.request_tracker.local_times import at_or_after, at_or_before

# A search needs a condition, and every ticket has a number.
EVERY_TICKET = "id > 0"
# At the top level and joined by AND, these conditions let RT hide what the user may not see within
# the search, so that a short page is the last one. Reminders and approvals are tickets of other
# types.
ON_TICKETS = "ObjectType = 'RT::Ticket' AND TicketType = 'ticket'"
DELETION = "TicketStatus = 'deleted' AND Type = 'Status' AND NewValue = 'deleted'"
# RT writes this transaction to both tickets of a merge.
MERGE = "Type = 'AddLink' AND Field = 'MergedInto'"
UTC_ZONE = ZoneInfo("UTC")


def updated(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Search for tickets last updated in `[start, end]`, and perhaps some around it.

    Args:
        start: start of the window.
        end: end of the window.
        zone: the API user's time zone.
    """
    return _within("LastUpdated", start, end, zone) or EVERY_TICKET


def deletions(since: datetime | None, until: datetime | None, zone: ZoneInfo) -> str:
    """Search for the transactions that deleted or merged tickets in `[since, until]`.

    It also finds earlier deletions of tickets that changed in the window: a deleted ticket may
    change again, and no search for tickets finds that. A merge does not update LastUpdated of the
    merged ticket, so its transaction's own time counts. RT 5.0 compares the times of a
    transaction's ticket in UTC, later versions in the user's zone like other dates; both find the
    deletion itself by `Created`.

    Args:
        since: start of the window, None for no bound.
        until: end of the window, None for no bound.
        zone: the API user's time zone.
    """
    start, end = since or EPOCH, until or END_OF_TIME
    created = _within("Created", start, end, zone)
    if not created:
        return f"{ON_TICKETS} AND (({DELETION}) OR ({MERGE}))"
    changed = _within("TicketLastUpdated", start, end, UTC_ZONE)
    return (
        f"{ON_TICKETS} AND (({DELETION} AND (({created}) OR ({changed}))) "
        f"OR ({MERGE} AND {created}))"
    )


def merges_of(ticket_id: str) -> str:
    """Search for the transactions that merged one ticket."""
    return f"{ON_TICKETS} AND {MERGE} AND ObjectId = {ticket_id}"


def last_id(resume: str | None) -> str:
    """Return the id that a list by ascending ids goes on after; 0 at its beginning.

    Raises:
        PositionLost: the text is no id.
    """
    if resume is None:
        return "0"
    if not (resume.isascii() and resume.isdecimal()):
        raise PositionLost(
            f"The position of the interrupted inventory cannot be read: {resume[:80]!r}."
        )
    return resume


def _within(field: str, start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Write a window in local time, without bounds that exclude nothing."""
    return " AND ".join(_bounds(field, utc(start), utc(end), zone))


def _bounds(field: str, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[str]:
    if start > EPOCH:
        yield f"{field} >= '{at_or_before(start, zone)}'"
    # Minus a day: local times of the last day may be out of range.
    if end < END_OF_TIME - timedelta(days=1):
        yield f"{field} <= '{at_or_after(end, zone)}'"
