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

SHOWN_OF_A_VALUE = 60
# BigQuery clusters by the first 1024 characters of the id; the longest that is known has 20.
LONGEST_ID = 1024
# A row may have 100 MB, and the longest field of a ticket can be in it twice.
LARGEST_TICKET = 49_000_000
NAMES_OF_A_WORD = ("name", "label", "value", "id")
NAMES_OF_A_PERSON = ("name", "email", "id")


def word(value: Any) -> str | None:
    """A status or priority as text: as it is, or the name of an object."""
    return _text(value, NAMES_OF_A_WORD)


def person(value: Any) -> str | None:
    """Who works on a ticket: a text, or the name, address or id of an object."""
    return _text(value, NAMES_OF_A_PERSON)


def iso_time(value: Any) -> datetime | None:
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
class Shape:
    """The names one vendor has for our fields.

    `words` replaces how a text field is read, by our name for it; `time` how a time is read, and
    raises ValueError for what is none. `deleted_at` takes the whole row and gives the value that
    `time` reads as the time of deletion, None where the ticket lives; without it the field
    `deleted` is that value.
    """

    ticket_id: str = "id"
    subject: str = "subject"
    status: str = "status"
    priority: str = "priority"
    assignee: str = "assignee"
    created: str = "createdTime"
    modified: str = "modifiedTime"
    deleted: str = "deletedTime"
    words: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    time: Callable[[Any], datetime | None] = iso_time
    deleted_at: Callable[[Mapping[str, Any]], Any] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """The rows of one answer, in their order."""

    tickets: tuple[Ticket, ...]
    bad: tuple[BadTicket, ...]


class TicketReader:
    """Reads one vendor's tickets. With `skip_bad`, unreadable ones are named instead of raised."""

    def __init__(
        self,
        shape: Shape,
        *,
        skip_bad: bool,
        kept_as_text: Callable[[], None] = lambda: None,
        redact: Redaction | None = None,
    ) -> None:
        """`kept_as_text` hears of each number that BigQuery's JSON cannot hold.

        Raises:
            SettingsError: what would be redacted is what tells one ticket or version from another.
        """
        for name in (shape.ticket_id, shape.created, shape.modified, shape.deleted):
            if redact is not None and redact.reaches(name):
                raise SettingsError(
                    f"REDACT_FIELDS reaches the field {name}, without which no ticket can be "
                    "stored. Name fields beside it."
                )
        self._redact = redact
        self._kept_as_text = kept_as_text
        self._shape = shape
        self._skip_bad = skip_bad
        words = shape.words
        self._subject = words.get("subject", word)
        self._status = words.get("status", word)
        self._priority = words.get("priority", word)
        self._assignee = words.get("assignee", person)

    def page(self, rows: Iterable[Any]) -> Read:
        """
        Raises:
            TicketUnreadable: for the first bad row, unless bad rows are skipped.
        """
        tickets, bad = [], []
        for place, row in enumerate(rows, 1):
            ticket = self.ticket(row, _nameless(place))
            if isinstance(ticket, Ticket):
                tickets.append(ticket)
            else:
                bad.append(ticket)
        return Read(tuple(tickets), tuple(bad))

    def ids(self, rows: Iterable[Any]) -> tuple[tuple[str, ...], tuple[BadTicket, ...]]:
        """Only the ids, for rows that are not whole and may have no times.

        Raises:
            TicketUnreadable: a row has none, unless bad rows are skipped.
        """
        ids, bad = [], []
        for place, row in enumerate(rows, 1):
            try:
                ids.append(self._id(row, _nameless(place)))
            except _Unreadable as error:
                bad.append(self._refuse(error.bad))
        return tuple(ids), tuple(bad)

    def ticket(self, row: Any, nameless: str) -> Ticket | BadTicket:
        """One row; `nameless` is what to call it where it has no id.

        Raises:
            TicketUnreadable: it has no id or a time that is none, unless such rows are skipped.
        """
        try:
            return self._ticket(row, nameless)
        except _Unreadable as error:
            return self._refuse(error.bad)

    def asked_for(self, ticket_id: str, row: Any, path: str) -> Ticket | BadTicket:
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

    def tombstone(self, ticket_id: str, gone_at: datetime, notice: Mapping[str, Any]) -> Ticket:
        """See `tombstone`. A notice has fields of its own, a ticket's subject under another name,
        which no path of REDACT_FIELDS is about; so with any, nothing of it is stored."""
        return tombstone(ticket_id, gone_at, {"id": ticket_id} if self._redact else notice)

    def _ticket(self, row: Any, nameless: str) -> Ticket:
        shape = self._shape
        ticket_id = self._id(row, nameless)
        # First, since whether it lives may be told by a field that is not stored.
        created, modified, deleted = self._times(row, ticket_id)
        if self._redact is not None:
            row = self._redact(row)
        try:
            # Its keys sorted, once for the text and the hash: writing it twice cost a third of all.
            row, raw_json, content_hash = exact_json.storable(row, self._kept_as_text)
        except RecursionError:
            raise _Unreadable(BadTicket(ticket_id, "raw_json", "is nested too deep")) from None
        if len(raw_json) > LARGEST_TICKET // 4 and len(raw_json.encode()) > LARGEST_TICKET:
            problem = f"has more than {LARGEST_TICKET} bytes, which BigQuery takes in no row"
            raise _Unreadable(BadTicket(ticket_id, "raw_json", problem))
        return Ticket(
            ticket_id=ticket_id,
            subject=self._subject(row.get(shape.subject)),
            status=self._status(row.get(shape.status)),
            priority=self._priority(row.get(shape.priority)),
            assignee=self._assignee(row.get(shape.assignee)),
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
        shape = self._shape
        modified = self._time(row.get(shape.modified), shape.modified, ticket_id)
        if modified is None:
            raise _Unreadable(BadTicket(ticket_id, shape.modified, "is absent"))
        deleted = shape.deleted_at(row) if shape.deleted_at else row.get(shape.deleted)
        return (
            self._time(row.get(shape.created), shape.created, ticket_id),
            modified,
            self._time(deleted, shape.deleted, ticket_id),
        )

    def _id(self, row: Any, nameless: str) -> str:
        name = self._shape.ticket_id
        if not isinstance(row, dict):
            # Not what it holds, which may be anybody's words.
            problem = f"is not there, the row is of type {type(row).__name__}"
            raise _Unreadable(BadTicket(nameless, name, problem))
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = exact_json.compose(value).strip('"')
        if isinstance(value, str) and value.strip() and len(value) <= LONGEST_ID:
            return exact_json.storable_text(value)
        problem = "is absent" if value in (None, "") else f"is {_show(value)}"
        raise _Unreadable(BadTicket(nameless, name, problem))

    def _time(self, value: Any, name: str, ticket_id: str) -> datetime | None:
        try:
            return self._shape.time(value)
        except (ValueError, OverflowError):
            problem = f"is {_show(value)}, no time with a zone"
            raise _Unreadable(BadTicket(ticket_id, name, problem)) from None

    def _refuse(self, bad: BadTicket) -> BadTicket:
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


def _nameless(place: int) -> str:
    return f"(no id) row {place} of the page"


def _shown_id(ticket_id: str) -> str:
    """For messages, which are one line whatever the helpdesk takes for an id."""
    is_plain = ticket_id.isprintable() and len(ticket_id) <= SHOWN_OF_A_VALUE
    return ticket_id if is_plain else _show(ticket_id)


def _show(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_OF_A_VALUE else f"{text[:SHOWN_OF_A_VALUE]}…"


def tombstone(ticket_id: str, gone_at: datetime, notice: Any) -> Ticket:
    """A ticket of which only its end is known; `notice` is what the vendor said of that. One that
    cannot be stored is left out: the end counts."""
    try:
        _, raw_json, content_hash = exact_json.storable(notice)
    except RecursionError:
        _, raw_json, content_hash = exact_json.storable({"id": ticket_id})
    return Ticket(
        ticket_id=ticket_id,
        subject=None,
        status=None,
        priority=None,
        assignee=None,
        created_time=None,
        modified_time=gone_at,
        deleted_time=gone_at,
        raw_json=raw_json,
        content_hash=content_hash,
        tombstone=True,
    )
