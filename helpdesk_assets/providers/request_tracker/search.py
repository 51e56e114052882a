"""What the `request_tracker` adapter searches for, in RT's TicketSQL and TransactionSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.paging.by_time import END_OF_TIME, EPOCH
from helpdesk_assets.providers.request_tracker.local_times import at_or_after, at_or_before

# A search needs a condition, and every ticket has a number.
EVERY_TICKET = "id > 0"
# At the top and joined by AND, these let RT hide what the user may not see within the search, so
# that a short page is the last one. Reminders and approvals are tickets of other types.
ON_TICKETS = "ObjectType = 'RT::Ticket' AND TicketType = 'ticket'"
DELETION = "TicketStatus = 'deleted' AND Type = 'Status' AND NewValue = 'deleted'"
# RT writes it to both tickets of a merge.
MERGE = "Type = 'AddLink' AND Field = 'MergedInto'"
UTC_ZONE = ZoneInfo("UTC")


def updated(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Tickets last updated in `[start, end]`, and perhaps some around it. `zone`: the user's."""
    return _within("LastUpdated", start, end, zone) or EVERY_TICKET


def deletions(since: datetime | None, until: datetime | None, zone: ZoneInfo) -> str:
    """The transactions that took tickets out of all searches in `[since, until]`, and those that
    did so with tickets which have been changed since then.

    A merge does not move the LastUpdated of the ticket that is no more, so it goes by its own time.
    A deleted ticket may be changed once more, and no search tells of that either. The times of a
    transaction's ticket are compared in UTC as they are in RT 5.0, in the user's zone as other
    dates in later ones; the deletion itself is found by `Created` in both.
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
    """The transactions by which one ticket was merged."""
    return f"{ON_TICKETS} AND {MERGE} AND ObjectId = {ticket_id}"


def _within(field: str, start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """A window in local time, less the bounds that bound nothing."""
    return " AND ".join(_bounds(field, utc(start), utc(end), zone))


def _bounds(field: str, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[str]:
    if start > EPOCH:
        yield f"{field} >= '{at_or_before(start, zone)}'"
    # Less a day: local times of the last day may be out of range.
    if end < END_OF_TIME - timedelta(days=1):
        yield f"{field} <= '{at_or_after(end, zone)}'"
