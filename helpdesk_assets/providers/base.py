"""The interface between the sync and any helpdesk: a protocol and an adapter's capabilities.

Vendor terms (endpoint names, field names, paging styles) stay behind this protocol. It must not
know the watermark store, SQL or Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from helpdesk_assets.model.tickets import ApiUsage, InventoryPage, Page, Ticket


class DoctorWarning(str):
    """What `doctor` shows as a warning: it works, but somebody should act."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one helpdesk can do.

    Attributes:
        name: the provider's name as in HELPDESK_PROVIDER.
        page_size: rows requested per page.
        time_resolution: the tick of its modified times; two edits within one tick look equal.
        result_cap: the most rows that one query can return, None if unlimited.
        settle_delay: how far a window's end stays behind the helpdesk's clock, since newer changes
            may still be missing from the answers.
        list_rows_are_complete: False if list rows lack fields, so details are fetched per ticket.
        listing_is_stable: True if a change during paging cannot push other tickets across a page
            boundary; only then may a listing advance the watermark.
        minimum_overlap: how far a window must at least reach back (search index lag).
        listing_is_independent: False if the listing uses the same endpoint as `changes`, so falling
            back to it cannot help.
        account: digest of provider, host and organisation; tables keep it, so that two accounts
            are never mixed. Empty: not known, and nothing is compared.
        account_label: the host, for people.
        tells_blind_spot: whether `Helpdesk.blind_spot` can tell.
        mapping_version: grows whenever a vendor's fields fill the columns differently.
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
    account: str = ""
    account_label: str = ""
    tells_blind_spot: bool = False
    mapping_version: int = 1


class TicketSource(Protocol):
    """The part of a helpdesk that gives single tickets; see `Helpdesk`."""

    @property
    def capabilities(self) -> Capabilities:
        """What this helpdesk can do."""
        ...

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock at its latest answer."""
        ...

    def ticket(self, ticket_id: str) -> Ticket | None:
        """Return one ticket."""
        ...

    def blind_spot(self) -> str | None:
        """Return why this login may not see every ticket, as a clause."""
        ...

    def confirm_rights(self) -> None:
        """Check that a `TicketForbidden` is of that ticket alone."""
        ...


class Archive(Protocol):
    """Where a helpdesk keeps tickets that no list has: each answers to its id alone.

    Their ids are consecutive numbers, so those that are missing can be asked for.
    """

    @property
    def unchanged_for(self) -> timedelta:
        """How long a ticket has not changed when it leaves the lists, at least."""
        ...

    @property
    def is_read(self) -> bool:
        """Whether a reconciliation asks for the tickets that the table lacks."""
        ...

    @property
    def notice(self) -> str:
        """One sentence for people: which tickets are in no list, and what to do about it."""
        ...

    def newest_number(self) -> int:
        """Return the highest id that a list has, 0 without a ticket; one call.

        Of lists that were read before, all ids count; of others those of the newest tickets.
        """
        ...

    def ticket(self, ticket_id: str) -> Ticket | None:
        """Return one archived ticket, None if the archive has none with this id.

        Any thread may call it.

        Raises:
            DeletionUnproven: the account has no archive that can be asked.
            HelpdeskAssetsError: the errors of `Helpdesk.ticket`.
        """
        ...


class Helpdesk(Protocol):
    """One helpdesk account.

    Callers use one thread, except for `ticket`, which any thread may call. An adapter may start
    threads.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this helpdesk can do."""
        ...

    @property
    def use(self) -> ApiUsage:
        """Calls, bytes, retries and waits since this object was created."""
        ...

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock at its latest answer, None before the first.

        It dates what comes without a page's `served_at`.
        """
        ...

    @property
    def clock_lead(self) -> timedelta:
        """The most that any answer's clock was ahead of this machine's; zero if within a minute.

        A window that ends by such an answer may end later than it was read.
        """
        ...

    @property
    def clock_lag(self) -> timedelta:
        """The most that any answer's clock was behind this machine's; zero if within a minute."""
        ...

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        """Yield every ticket modified in `[since, until]`, in any order.

        Deleted tickets are included as far as the helpdesk reports them. A row may come more than
        once; none is left out. There is at least one page, even if nothing changed.

        The adapter decides whether to retry a failed call. It does not if the listing is another
        endpoint with other limits: falling back to that is faster.

        Args:
            since: start of the window; None starts from the beginning.
            until: end of the window; None reads up to the helpdesk's clock, as each page's `until`
                states.
            cursor: the previous run's last `Page.cursor`, if the helpdesk has cursors; it takes
                precedence over `since`.
            resume: `Page.resume` of an interrupted call, to read what that call left and what has
                changed since.

        Raises:
            EndpointFailed: an answer failed, was cut short, or is malformed.
            PositionLost: `resume` cannot be read; nothing that can be resumed was yielded.
            CredentialsRefused: 401 or 403.
            TicketUnreadable: a row has no id or no readable time, and such rows are not skipped.
            WindowTooDense: one tick holds more tickets than `result_cap`.
        """
        ...

    def listing(self) -> Iterator[Page]:
        """Yield every existing ticket, in any order; failed calls are retried.

        Raises the errors of `changes`, `EndpointFailed` once the retries are used up.
        """
        ...

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """Yield the id and modified time of every ticket, in the helpdesk's cheapest way.

        Deleted tickets are included as far as the helpdesk reports them without a call for each.
        A ticket may come more than once: the entry with the latest `modified_time` counts, and of
        equal ones the `gone` one. Tickets that change during the call are not left out, though
        their `modified_time` may be outdated; tickets created, or deleted and restored, during the
        call may be. There is at least one page; failed calls are retried.

        Args:
            resume: `InventoryPage.resume` of an interrupted call, to read what that call left and
                what has changed since. Both calls together are one inventory.

        Raises:
            PositionLost: `resume` cannot be read; nothing that can be resumed was yielded.
            HelpdeskAssetsError: the errors of `listing`.
        """
        ...

    def ticket(self, ticket_id: str) -> Ticket | None:
        """Return one ticket in its current version, None if the helpdesk has none with this id.

        Raises:
            DeletionUnproven: it finds none, which proves nothing about this ticket.
            TicketForbidden: this account may not see it; see `confirm_rights`.
        """
        ...

    def confirm_rights(self) -> None:
        """Check that the account could read lists after the latest `TicketForbidden`.

        Rights that are lost meanwhile look like tickets that may not be seen. So whoever goes on
        without such tickets calls this first, once for all of them. It takes a call only if there
        was one since the last time.

        Raises:
            CredentialsRefused: it may not read lists, so nothing is known of those tickets.
            EndpointFailed: the list did not answer, so neither is anything known.
        """
        ...

    @property
    def archive(self) -> Archive | None:
        """Where tickets are that no list has; None if lists have all."""
        ...

    def blind_spot(self) -> str | None:
        """Return why this login may not see every ticket, as a clause; None if it sees all.

        Also None if the helpdesk does not tell (`Capabilities.tells_blind_spot`). Where it tells of
        one, a ticket that is not shown may exist for others. It may take a call.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
