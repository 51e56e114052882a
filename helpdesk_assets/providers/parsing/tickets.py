"""Read a vendor's JSON object as a ticket, or say which ticket cannot be read and why.

A ticket that is read wrongly is worse than one that is refused: a time without zone taken for UTC,
or an id turned into a float, is stored and believed. Must not know HTTP or paging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from helpdesk_assets.config.redaction import Redaction
from helpdesk_assets.errors import EndpointFailed, SettingsError, TicketUnreadable
from helpdesk_assets.model.tickets import BadTicket, Ticket, utc
from helpdesk_assets.providers.parsing import exact_json

MAX_SHOWN_CHARS = 60
# BigQuery clusters by the first 1024 characters of the id; the longest that is known has 20.
MAX_ID_CHARS = 1024
# A row may have 100 MB, and the longest field of a ticket can be in it twice.
MAX_TICKET_BYTES = 49_000_000
TEXT_KEYS = ("name", "label", "value", "id")
NAME_KEYS = ("name", "email", "id")


def as_text(value: Any) -> str | None:
    """A status or priority as text: as it is, or the name of an object."""
    return _text(value, TEXT_KEYS)


def as_name(value: Any) -> str | None:
    """Who works on a ticket: a text, or the name, address or id of an object."""
    return _text(value, NAME_KEYS)


def parse_iso_time(value: Any) -> datetime | None:
    """A time as ISO 8601 text with a zone.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("no text")  # noqa: TRY004 - one error for all that is no time
    return utc(datetime.fromisoformat(value))


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The names one vendor has for our fields.

    `text_parsers` replaces how a text field is read, by our name for it; `parse_time` how a time is
    read, and raises ValueError for what is none. `deleted_at` takes the whole row and gives the
    value that `parse_time` reads as the time of deletion, None where the ticket lives; without it
    the field `deleted` is that value.
    """

    ticket_id: str = "id"
    subject: str = "subject"
    status: str = "status"
    priority: str = "priority"
    assignee: str = "assignee"
    created: str = "createdTime"
    modified: str = "modifiedTime"
    deleted: str = "deletedTime"
    text_parsers: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    parse_time: Callable[[Any], datetime | None] = parse_iso_time
    deleted_at: Callable[[Mapping[str, Any]], Any] | None = None


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """The rows of one answer, in their order."""

    tickets: tuple[Ticket, ...]
    bad: tuple[BadTicket, ...]


class TicketReader:
    """Reads one vendor's tickets. With `skip_bad`, unreadable ones are named instead of raised."""

    def __init__(
        self,
        field_map: FieldMap,
        *,
        skip_bad: bool,
        number_kept_as_text: Callable[[], None] = lambda: None,
        redact: Redaction | None = None,
    ) -> None:
        """`number_kept_as_text` hears of each number that BigQuery's JSON cannot hold.

        Raises:
            SettingsError: what would be redacted is what tells one ticket or version from another.
        """
        for name in (field_map.ticket_id, field_map.created, field_map.modified, field_map.deleted):
            if redact is not None and redact.covers(name):
                raise SettingsError(
                    f"REDACT_FIELDS reaches the field {name}, without which no ticket can be "
                    "stored. Name fields beside it."
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
        """
        Raises:
            TicketUnreadable: for the first bad row, unless bad rows are skipped.
        """
        tickets, bad = [], []
        for row_number, row in enumerate(rows, 1):
            ticket = self.ticket(row, _placeholder_id(row_number))
            if isinstance(ticket, Ticket):
                tickets.append(ticket)
            else:
                bad.append(ticket)
        return ParsedRows(tuple(tickets), tuple(bad))

    def ids(self, rows: Iterable[Any]) -> tuple[tuple[str, ...], tuple[BadTicket, ...]]:
        """Only the ids, for rows that are not whole and may have no times.

        Raises:
            TicketUnreadable: a row has none, unless bad rows are skipped.
        """
        ids, bad = [], []
        for row_number, row in enumerate(rows, 1):
            try:
                ids.append(self._id(row, _placeholder_id(row_number)))
            except _Unreadable as error:
                bad.append(self._reject(error.bad))
        return tuple(ids), tuple(bad)

    def ticket(self, row: Any, placeholder_id: str) -> Ticket | BadTicket:
        """One row; `placeholder_id` is what to call it where it has no id.

        Raises:
            TicketUnreadable: it has no id or a time that is none, unless such rows are skipped.
        """
        try:
            return self._ticket(row, placeholder_id)
        except _Unreadable as error:
            return self._reject(error.bad)

    def requested_ticket(self, ticket_id: str, row: Any, path: str) -> Ticket | BadTicket:
        """The row that came where one ticket was asked for by its id; as `ticket`.

        Raises:
            EndpointFailed: it is another ticket.
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
        """See `tombstone`. A notice has fields of its own, a ticket's subject under another name,
        which no path of REDACT_FIELDS is about; so with any, nothing of it is stored."""
        return tombstone(
            ticket_id, deleted_time, {"id": ticket_id} if self._redact else deletion_event
        )

    def _ticket(self, row: Any, placeholder_id: str) -> Ticket:
        field_map = self._field_map
        ticket_id = self._id(row, placeholder_id)
        # First, since whether it lives may be told by a field that is not stored.
        created, modified, deleted = self._times(row, ticket_id)
        if self._redact is not None:
            row = self._redact(row)
        try:
            # Its keys sorted, once for the text and the hash: writing it twice cost a third of all.
            row, raw_json, content_hash = exact_json.storable(row, self._number_kept_as_text)
        except RecursionError:
            raise _Unreadable(BadTicket(ticket_id, "raw_json", "is nested too deep")) from None
        if len(raw_json) > MAX_TICKET_BYTES // 4 and len(raw_json.encode()) > MAX_TICKET_BYTES:
            problem = f"has more than {MAX_TICKET_BYTES} bytes, which BigQuery takes in no row"
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
        """When it was made, last modified, and deleted."""
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
            # Not what it holds, which may be anybody's words.
            problem = f"is not there, the row is of type {type(row).__name__}"
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
            problem = f"is {_excerpt(value)}, no time with a zone"
            raise _Unreadable(BadTicket(ticket_id, name, problem)) from None

    def _reject(self, bad: BadTicket) -> BadTicket:
        bad = replace(bad, ticket_id=_shown_id(bad.ticket_id))
        if self._skip_bad:
            return bad
        raise unreadable(bad) from None


def unreadable(bad: BadTicket) -> TicketUnreadable:
    """The error that a bad ticket is where bad tickets are not skipped."""
    return TicketUnreadable(
        f"Ticket {bad.ticket_id}: {bad.field} {bad.problem}. Correct it in the helpdesk, or set "
        "HELPDESK_SKIP_BAD_TICKETS=true to leave such tickets out."
    )


class _Unreadable(Exception):
    def __init__(self, bad: BadTicket) -> None:
        super().__init__(bad)
        self.bad = bad


def _text(value: Any, names: tuple[str, ...]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        texts = (_text(value.get(name), ()) for name in names)
        return next((text for text in texts if text), None)
    if isinstance(value, bool | int | float):
        return exact_json.compose(value)
    return None


def _placeholder_id(row_number: int) -> str:
    return f"(no id) row {row_number} of the page"


def _shown_id(ticket_id: str) -> str:
    """For messages, which are one line whatever the helpdesk takes for an id."""
    is_plain = ticket_id.isprintable() and len(ticket_id) <= MAX_SHOWN_CHARS
    return ticket_id if is_plain else _excerpt(ticket_id)


def _excerpt(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


def tombstone(ticket_id: str, deleted_time: datetime, deletion_event: Any) -> Ticket:
    """A ticket of which only its end is known; `deletion_event` is what the vendor said of that.
    One that cannot be stored is left out: the end counts."""
    try:
        _, raw_json, content_hash = exact_json.storable(deletion_event)
    except RecursionError:
        _, raw_json, content_hash = exact_json.storable({"id": ticket_id})
    return Ticket(
        ticket_id=ticket_id,
        subject=None,
        status=None,
        priority=None,
        assignee=None,
        created_time=None,
        modified_time=deleted_time,
        deleted_time=deleted_time,
        raw_json=raw_json,
        content_hash=content_hash,
        tombstone=True,
    )
