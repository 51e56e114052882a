"""Reads a vendor's JSON object as a ticket, or reports which ticket cannot be read and why.

A misread ticket is worse than a rejected one: a time without a zone read as UTC, or an id turned
into a float, is stored and believed. Must not know HTTP or paging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from helpdesk_assets.config.redaction import Redaction
from helpdesk_assets.errors import (
    EndpointFailed,
    SettingsError,
    TicketForbidden,
    TicketUnreadable,
)
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.parsing import exact_json
from helpdesk_assets.providers.parsing.field_map import FieldMap, as_name, as_text
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.providers.parsing.turns import COMPUTING

MAX_SHOWN_CHARS = 60
# BigQuery clusters by the first 1024 characters of the id; the longest known id has 20.
MAX_ID_CHARS = 1024
# BigQuery's rows may have 100 MB, and a ticket's longest field can occur twice in its row.
MAX_TICKET_BYTES = 49_000_000


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """The readable tickets of one answer in its order, and the unreadable ones."""

    tickets: tuple[Ticket, ...]
    bad: tuple[BadTicket, ...]


class TicketReader:
    """Reads one vendor's tickets."""

    def __init__(
        self,
        field_map: FieldMap,
        *,
        skip_bad: bool,
        number_kept_as_text: Callable[[], None] = lambda: None,
        redact: Redaction | None = None,
    ) -> None:
        """Configure the reader for one vendor.

        Args:
            field_map: the vendor's field names.
            skip_bad: return unreadable tickets instead of raising.
            number_kept_as_text: called for each number that BigQuery's JSON cannot hold.
            redact: removes the fields that must not be stored.

        Raises:
            SettingsError: the id or a time would be redacted.
        """
        for name in (field_map.ticket_id, field_map.created, field_map.modified, field_map.deleted):
            if redact is not None and redact.covers(name):
                raise SettingsError(
                    f"REDACT_FIELDS covers the field {name}, without which no ticket can be "
                    "stored. Name other fields."
                )
        self._redact = redact
        self._number_kept_as_text = number_kept_as_text
        self._field_map = field_map
        self._skip_bad = skip_bad
        text_parsers = field_map.text_parsers
        self._subject = text_parsers.get("subject", as_text)
        self._status = text_parsers.get("status", as_text)
        self._priority = text_parsers.get("priority", as_text)
        self._assignee = text_parsers.get("assignee", as_name)

    def page(self, rows: Iterable[Any]) -> ParsedRows:
        """Read the rows of one answer.

        Raises:
            TicketUnreadable: the first unreadable row, unless such rows are skipped.
        """
        tickets, bad = [], []
        with COMPUTING:
            for row_number, row in enumerate(rows, 1):
                ticket = self.ticket(row, _placeholder_id(row_number))
                if isinstance(ticket, Ticket):
                    tickets.append(ticket)
                else:
                    bad.append(ticket)
        return ParsedRows(tuple(tickets), tuple(bad))

    def ids(self, rows: Iterable[Any]) -> tuple[tuple[str, ...], tuple[BadTicket, ...]]:
        """Read only the ids, for incomplete rows that may lack times.

        Returns:
            The ids, and the rows without a readable id.

        Raises:
            TicketUnreadable: a row has no readable id, unless such rows are skipped.
        """
        ids, bad = [], []
        for row_number, row in enumerate(rows, 1):
            try:
                ids.append(self._id(row, _placeholder_id(row_number)))
            except _Unreadable as error:
                bad.append(self._reject(error.bad))
        return tuple(ids), tuple(bad)

    def ticket(self, row: Any, placeholder_id: str) -> Ticket | BadTicket:
        """Read one row; `placeholder_id` names it in errors if it has no id.

        Raises:
            TicketUnreadable: it has no id or an invalid time, unless such rows are skipped.
        """
        try:
            return self._ticket(row, placeholder_id)
        except _Unreadable as error:
            return self._reject(error.bad)

    def requested_ticket(self, ticket_id: str, row: Any, path: str) -> Ticket | BadTicket:
        """Read the row that answers a request for one ticket.

        Args:
            ticket_id: the requested id.
            row: the row that came.
            path: the path that was requested, for messages.

        Raises:
            EndpointFailed: the row is another ticket.
            TicketUnreadable: as for `ticket`.
        """
        ticket = self.ticket(row, f"(no id) at {path}")
        if isinstance(ticket, Ticket) and ticket.ticket_id != ticket_id:
            raise EndpointFailed(
                f"GET {path} answered with ticket {_shown_id(ticket.ticket_id)}. Check that "
                "HELPDESK_PROVIDER is right for this helpdesk."
            )
        return ticket

    def tombstone(
        self, ticket_id: str, deleted_time: datetime, deletion_event: Mapping[str, Any]
    ) -> Ticket:
        """Create a tombstone; see the function `tombstone`.

        A deletion event has its own field names, which REDACT_FIELDS does not cover: it may hold a
        ticket's subject under another name. With REDACT_FIELDS, only the id is stored.
        """
        return tombstone(
            ticket_id, deleted_time, {"id": ticket_id} if self._redact else deletion_event
        )

    def _ticket(self, row: Any, placeholder_id: str) -> Ticket:
        field_map = self._field_map
        ticket_id = self._id(row, placeholder_id)
        # Before redaction, which may remove the field that marks a deleted ticket.
        created, modified, deleted = self._times(row, ticket_id)
        if self._redact is not None:
            row = self._redact(row)
        try:
            # One serialisation for the text and the hash: a second one cost a third of the time.
            row, raw_json, content_hash = exact_json.storable(row, self._number_kept_as_text)
            if any(name in row for name in field_map.volatile):
                content_hash = _stable_hash(row, field_map.volatile)
        except RecursionError:
            raise _Unreadable(BadTicket(ticket_id, "raw_json", "is nested too deep")) from None
        if len(raw_json) > MAX_TICKET_BYTES // 4 and len(raw_json.encode()) > MAX_TICKET_BYTES:
            problem = f"has more than {MAX_TICKET_BYTES} bytes, too many for a row of BigQuery"
            raise _Unreadable(BadTicket(ticket_id, "raw_json", problem))
        return Ticket(
            ticket_id=ticket_id,
            subject=self._subject(row.get(field_map.subject)),
            status=self._status(row.get(field_map.status)),
            priority=self._priority(row.get(field_map.priority)),
            assignee=self._assignee(row.get(field_map.assignee)),
            created_time=created,
            modified_time=modified,
            deleted_time=deleted,
            raw_json=raw_json,
            content_hash=content_hash,
        )

    def _times(
        self, row: Mapping[str, Any], ticket_id: str
    ) -> tuple[datetime | None, datetime, datetime | None]:
        """Return when the ticket was created, last modified, and deleted."""
        field_map = self._field_map
        modified = self._time(row.get(field_map.modified), field_map.modified, ticket_id)
        if modified is None:
            raise _Unreadable(BadTicket(ticket_id, field_map.modified, "is absent"))
        deleted = field_map.deleted_at(row) if field_map.deleted_at else row.get(field_map.deleted)
        return (
            self._time(row.get(field_map.created), field_map.created, ticket_id),
            modified,
            self._time(deleted, field_map.deleted, ticket_id),
        )

    def _id(self, row: Any, placeholder_id: str) -> str:
        name = self._field_map.ticket_id
        if not isinstance(row, dict):
            # Without the row's content, which may be personal data.
            problem = f"is absent, the row is of type {type(row).__name__}"
            raise _Unreadable(BadTicket(placeholder_id, name, problem))
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = exact_json.compose(value).strip('"')
        if isinstance(value, str) and value.strip() and len(value) <= MAX_ID_CHARS:
            return exact_json.storable_text(value)
        problem = "is absent" if value in (None, "") else f"is {_excerpt(value)}"
        raise _Unreadable(BadTicket(placeholder_id, name, problem))

    def _time(self, value: Any, name: str, ticket_id: str) -> datetime | None:
        try:
            return self._field_map.parse_time(value)
        except (ValueError, OverflowError):
            problem = f"is {_excerpt(value)}, not a time with a zone"
            raise _Unreadable(BadTicket(ticket_id, name, problem)) from None

    def _reject(self, bad: BadTicket) -> BadTicket:
        bad = replace(bad, ticket_id=_shown_id(bad.ticket_id))
        if self._skip_bad:
            return bad
        raise unreadable(bad) from None


def unreadable(bad: BadTicket) -> TicketUnreadable:
    """Return the error for an unreadable ticket, if such tickets are not skipped."""
    return TicketUnreadable(
        f"Ticket {bad.ticket_id}: {bad.field} {bad.problem}. Correct it in the helpdesk, or set "
        "HELPDESK_SKIP_BAD_TICKETS=true to leave such tickets out.",
        bad.ticket_id,
    )


def _stable_hash(row: Mapping[str, Any], volatile: tuple[str, ...]) -> str:
    """Return the digest of a storable row without the fields that change by themselves."""
    return exact_json.storable({key: row[key] for key in row if key not in volatile})[2]


def forbidden(bad: BadTicket) -> TicketForbidden:
    """Return the error for a ticket that the account may not see."""
    return TicketForbidden(
        f"Ticket {_shown_id(bad.ticket_id)}: {bad.field} {bad.problem}", bad.ticket_id
    )


class _Unreadable(Exception):
    def __init__(self, bad: BadTicket) -> None:
        super().__init__(bad)
        self.bad = bad


def _placeholder_id(row_number: int) -> str:
    return f"(no id) row {row_number} of the page"


def _shown_id(ticket_id: str) -> str:
    """Return an id for messages, on one line even if the id has line breaks."""
    is_plain = ticket_id.isprintable() and len(ticket_id) <= MAX_SHOWN_CHARS
    return ticket_id if is_plain else _excerpt(ticket_id)


def _excerpt(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
