"""Freshdesk's archive: tickets that no list has and that answer to an id below it alone.

    GET /api/v2/tickets/archived/{id}

Freshdesk moves tickets there that are closed and have not changed for 120 days, and back never.
From then on `GET /api/v2/tickets/{id}` is a 404, as for a ticket that was deleted for good. On a
plan without this endpoint, nobody can tell the two apart.
(developers.freshdesk.com/api/#archive_tickets, partnersupport.freshworks.com 212901)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from urllib.parse import quote

from helpdesk_assets.errors import DeletionUnproven, EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.adapter import FetchTicket
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.client.retry import Retry
from helpdesk_assets.providers.freshdesk.account import LIST_SCOPE, FeatureMissing
from helpdesk_assets.providers.parsing.tickets import TicketReader

ARCHIVED = "/tickets/archived"
OK_OR_NOT_FOUND = frozenset({200, 404})
# A week less than documented: when exactly Freshdesk archives is not.
UNCHANGED_FOR = timedelta(days=120 - 7)
# Without `updated_since`, a list goes back 30 days. A whole page, since an import may create many
# tickets in one second.
NEWEST = {
    "updated_since": "2000-01-01T00:00:00Z",
    "order_by": "created_at",
    "order_type": "desc",
    "per_page": "100",
}
NOT_IN_PLAN = "its plan lets nobody ask for archived tickets by the API"


class FreshdeskArchive:
    """The `Archive` of one account."""

    def __init__(
        self,
        api: Api,
        retry: Retry,
        reader: TicketReader,
        *,
        is_read: bool,
        known_deleted: Collection[str],
        read_one: Callable[[str, FetchTicket], Ticket | None],
    ) -> None:
        """Set up; nothing is called yet.

        Args:
            api: the account.
            retry: retries failed calls.
            reader: reads the tickets.
            is_read: see `Archive.is_read`.
            known_deleted: tickets that a list of deleted ones or spam has shown so far.
            read_one: fetches one ticket with retries, and raises what stands against it.
        """
        self._api = api
        self._retry = retry
        self._reader = reader
        self._is_read = is_read
        self._known_deleted = known_deleted
        self._read_one = read_one

    @property
    def unchanged_for(self) -> timedelta:
        """See `Archive.unchanged_for`."""
        return UNCHANGED_FOR

    @property
    def is_read(self) -> bool:
        """See `Archive.is_read`."""
        return self._is_read

    @property
    def notice(self) -> str:
        """See `Archive.notice`."""
        if self._is_read:
            return "Archived tickets are in no list of Freshdesk, so they are asked for by id."
        return (
            "Archived tickets are in no list of Freshdesk; FRESHDESK_ARCHIVE=true asks for those "
            "that the table lacks."
        )

    def newest_number(self) -> int:
        """See `Archive.newest_number`; the lists of deleted tickets and spam count too."""
        rows = self._retry(partial(self._api.get, "/tickets", NEWEST, scope=LIST_SCOPE)).json()
        try:
            listed = [int(row["id"]) for row in rows]
            return max((*listed, *map(int, self._known_deleted)), default=0)
        except (KeyError, TypeError, ValueError):
            raise EndpointFailed(
                "GET /tickets did not answer with a list of tickets. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            ) from None

    def ticket(self, ticket_id: str) -> Ticket | None:
        """See `Archive.ticket`."""
        return self._read_one(ticket_id, self.fetch)

    def fetch_missing(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Fetch a ticket that is not found elsewhere, without a retry; None if it is deleted.

        Raises:
            DeletionUnproven: as `fetch`, and no list shows that the ticket was deleted.
        """
        try:
            return self.fetch(ticket_id)
        except DeletionUnproven:
            if ticket_id in self._known_deleted:
                return None
            raise

    def fetch(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Fetch an archived ticket without a retry; None if there is none.

        Raises:
            DeletionUnproven: the plan has no such endpoint.
        """
        path = f"{ARCHIVED}/{quote(ticket_id, safe='')}"
        try:
            reply = self._api.get(path, accept=OK_OR_NOT_FOUND)
        except FeatureMissing:
            raise DeletionUnproven(
                f"Freshdesk finds no ticket {ticket_id}. It may be archived: {NOT_IN_PLAN}."
            ) from None
        if reply.status == 404:
            return None
        return self._reader.requested_ticket(ticket_id, reply.json(), path)
