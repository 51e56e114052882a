"""The seam between the sync and any helpdesk: one protocol and what an adapter says of itself.

Vendor words (endpoint names, field names, paging styles) stop behind this protocol. It must not
know the watermark store, SQL or Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from helpdesk_assets.model.tickets import ApiUsage, InventoryPage, Page, Ticket


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one helpdesk can do.

    Attributes:
        name: the provider's name as in HELPDESK_PROVIDER.
        page_size: rows asked for per page.
        time_resolution: the tick of its modified times; two edits within one tick look equal.
        result_cap: rows that one query can return at most, None where there is no such limit.
        held_back: how much of the newest past the change endpoint leaves out.
        lists_are_whole: False where rows of a list lack fields, so details are fetched per ticket.
        listing_is_stable: True where tickets that change while the listing is paged cannot push
            others across a page edge; only then may a listing move the watermark.
        minimum_overlap: how far a window must reach back at least (search index lag).
        listing_is_another_way: False where it is the change endpoint once more, from the beginning:
            when that fails, so would the listing, and a run is better ended than begun anew.
    """

    name: str
    page_size: int
    time_resolution: timedelta
    result_cap: int | None
    settle_delay: timedelta
    list_rows_are_complete: bool
    listing_is_stable: bool
    minimum_overlap: timedelta
    listing_is_independent: bool = True


class Helpdesk(Protocol):
    """One helpdesk account. Its caller uses one thread, but for `ticket`, which may be called from
    any number; threads inside are its own matter."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def use(self) -> ApiUsage:
        """Calls, bytes, retries and waits since this object was made."""
        ...

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock when it gave its latest answer, None before the first. What is
        stamped for lack of a page's own `served_at` is stamped by this."""
        ...

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        """Every ticket modified in `[since, until]`, in whatever order, those that have gone
        meanwhile included as far as the helpdesk tells of them.

        `since` None: from the beginning. `until` None: up to the helpdesk's own clock, which is
        then told by each page's `until`. `cursor` is the last page's of the run before, where the
        helpdesk has one; it goes before `since`. `resume` goes on with a call that was interrupted:
        what it had not read, and what has changed since. A row may come more than once; none is
        left out. There is at least one page, also when nothing changed.

        Whether a failed call is tried again is the adapter's to know: not where the listing is
        another endpoint with other limits, which is then the quicker way.

        Raises:
            EndpointFailed: an answer failed, was cut short, or was not what it should be.
            CredentialsRefused: 401 or 403.
            TicketUnreadable: a row has no id or no readable time, and such rows are not skipped.
            WindowTooDense: one tick holds more tickets than `result_cap`.
        """
        ...

    def listing(self) -> Iterator[Page]:
        """Every ticket there is, in whatever order; failed calls are retried.

        Raises: as `changes`; `EndpointFailed` once the retries are used up.
        """
        ...

    def inventory(self) -> Iterator[InventoryPage]:
        """The id and the modified time of every ticket, in the cheapest way that the helpdesk has;
        those that have gone, too, as far as it tells of them without being asked for each.

        A ticket may come more than once: the line with the latest `modified_time` counts, and of
        equal ones the one that is `gone`. One that changes meanwhile is not left out, whatever its
        line says of when; one that is made meanwhile may be, and so may one that is deleted and
        restored meanwhile. There is at least one page; failed calls are retried.

        Raises: as `listing`.
        """
        ...

    def ticket(self, ticket_id: str) -> Ticket | None:
        """One ticket as it is now, None where the helpdesk has none with this id."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
