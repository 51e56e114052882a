"""Generates tickets: the initial population, and the raw ticket of any version on demand.

A version is a few small values. The raw ticket of 3 to 6 KB is generated from (seed, id, revision)
whenever it is served. So 52,000 tickets are ready at once, and the same seed gives the same bytes
in any order of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.seeded_random import SeededRandom

Json = dict[str, Any]
# From a seed and the number of a ticket to its id.
MakeId = Callable[[int, int], str]

DAY = 86_400
HISTORY_SECONDS = 730 * DAY
# 18 digits, beyond 2^53: an id that is parsed as a float becomes another ticket's id.
_FIRST_ID = 421_370_000_000_000_000
_ID_STRIDE = 7_919
FUTURE_ID = "999999999999999999"


def _paragraph(number: int) -> str:
    rng = SeededRandom("paragraph", number)
    return " ".join(rng.choice(fixture_text.SENTENCES) for _ in range(6))


# Generated once: drawing every sentence of every ticket took half the time of serving a page.
_PARAGRAPHS = tuple(map(_paragraph, range(256)))


class TicketVersion(NamedTuple):
    """One version of one ticket; times in whole seconds since 1970.

    Attributes:
        ticket_id: digits, ascending with creation.
        created: creation time.
        modified: position of this version in the order of changes.
        revision: 0 for a new ticket, one more with each change.
        overlay: fields set by changes, under the vendor's names.
        modified_override: the modified time that the API shows, if it is not `modified`. A change
            by the vendor's own system moves the ticket in the order of changes, but keeps the
            modified time that it shows.
    """

    ticket_id: str
    created: int
    modified: int
    revision: int
    overlay: Mapping[str, Any] | None
    modified_override: int | None = None

    @property
    def visible_modified(self) -> int:
        """The modified time that the API shows."""
        return self.modified if self.modified_override is None else self.modified_override


def ticket_id(seed: int, number: int) -> str:
    """Return the id of the ticket that is created as number `number`; ids ascend with it."""
    return str(
        _FIRST_ID + number * _ID_STRIDE + SeededRandom(seed, "id", number).randbelow(_ID_STRIDE)
    )


def consecutive_id(seed: int, number: int) -> str:  # noqa: ARG001
    """Return the same as an account that numbers its tickets from 1."""
    return str(number + 1)


def population(
    seed: int, count: int, start: int, make_id: MakeId = ticket_id
) -> Iterator[TicketVersion]:
    """Generate the initial tickets.

    Args:
        seed: equal seeds and starts give equal tickets.
        count: number of tickets.
        start: end of the two years in which they were created, in seconds since 1970.
        make_id: makes their ids.

    Yields:
        The versions in order of creation.
    """
    slot = max(HISTORY_SECONDS // max(count, 1), 1)
    previous = 0
    for number in range(count):
        rng = SeededRandom(seed, "times", number)
        created = start - HISTORY_SECONDS + HISTORY_SECONDS * number // count + rng.randbelow(slot)
        share = rng.randbelow(1 << 20) / (1 << 20)
        # The third power: most tickets last change soon after creation, a few are still active.
        modified = created + int((start - created) * share**3)
        # Some tickets share their second with another, so that tests meet ties.
        if rng.one_in(20) and previous >= created:
            modified = previous
        previous = modified
        yield TicketVersion(make_id(seed, number), created, modified, 0, None)


def raw_ticket(seed: int, version: TicketVersion) -> Json:
    """Return the ticket of one version, as `GET /v2/tickets/{id}` of the `rest` API gives it."""
    ticket = body(seed, version)
    if version.overlay:
        ticket.update(version.overlay)
    return ticket


def body(seed: int, version: TicketVersion) -> Json:
    """Return the ticket without its overlay.

    Dialects rename these fields first and then apply the overlay, which has the vendor's names.
    """
    rng = SeededRandom(seed, "body", version.ticket_id)
    number = 1_000 + rng.randbelow(9_000_000)
    ticket: Json = {
        "id": version.ticket_id,
        "ticketNumber": number,
        "subject": rng.choice(fixture_text.SUBJECTS).replace("{n}", str(number)),
        "createdTime": to_text(version.created),
        "modifiedTime": to_text(version.visible_modified),
        "channel": rng.choice(fixture_text.CHANNELS),
        "language": rng.choice(fixture_text.LANGUAGES),
        "department": {
            "id": _FIRST_ID + rng.randbelow(1_000_000),
            "name": rng.choice(fixture_text.DEPARTMENTS),
        },
        "requester": _requester(rng),
        "description": "\n\n".join(rng.choice(_PARAGRAPHS) for _ in range(3 + rng.randbelow(2))),
        "dueDate": None if rng.one_in(3) else to_text(version.created + 3 * DAY),
        "parentId": _FIRST_ID + rng.randbelow(10**15) if rng.one_in(6) else None,
        "customFields": _custom_fields(rng, version.created),
        "attachments": [_attachment(rng) for _ in range(rng.randbelow(3))],
        "isSpam": False,
    }
    ticket.update(_mutable_fields(seed, version))
    return ticket


def _mutable_fields(seed: int, version: TicketVersion) -> Json:
    """Return the fields that a change alters. `updateCount` makes each revision unique."""
    rng = SeededRandom(seed, "state", version.ticket_id, version.revision)
    status = rng.choice(fixture_text.STATUSES)
    return {
        "status": status,
        "priority": rng.choice(fixture_text.PRIORITIES),
        "assignee": None if rng.one_in(7) else f"{rng.choice(fixture_text.AGENTS)}@example.com",
        "tags": sorted({rng.choice(fixture_text.TAGS) for _ in range(rng.randbelow(5))}),
        "closedTime": to_text(version.modified) if status == "Closed" else None,
        "lastComment": {
            "id": _FIRST_ID + rng.randbelow(10**15),
            "author": rng.choice(fixture_text.NAMES),
            "text": rng.choice(fixture_text.SENTENCES),
            "public": not rng.one_in(4),
        },
        "threadCount": version.revision + rng.randbelow(12),
        "updateCount": version.revision,
    }


def _requester(rng: SeededRandom) -> Json:
    return {
        "id": _FIRST_ID + rng.randbelow(10**15),
        "name": rng.choice(fixture_text.NAMES),
        "email": f"customer{rng.randbelow(100_000)}@example.org",
        "phone": None if rng.one_in(3) else f"+49 30 {rng.randbelow(10**7):07d}",
        "company": {
            "id": _FIRST_ID + rng.randbelow(10**12),
            "name": rng.choice(fixture_text.COMPANIES),
            "industry": rng.choice(fixture_text.INDUSTRIES),
            "address": {
                "country": rng.choice(fixture_text.COUNTRIES),
                "postalCode": f"{rng.randbelow(100_000):05d}",
                "lines": [f"Straße des {rng.randbelow(31) + 1}. Juni {rng.randbelow(200)}", ""],
            },
        },
    }


def _custom_fields(rng: SeededRandom, created: int) -> list[Json]:
    """Return one custom field of each type that real helpdesks have, as a list like most do."""
    number, day = rng.randbelow(10**9), to_text(created + rng.randbelow(90) * DAY)[:10]
    values: tuple[tuple[str, str, object], ...] = (
        ("order_number", "text", f"000{number}"),
        ("order_reference", "integer", 9_007_199_254_740_993 + number),
        ("amount", "decimal", (number - 5 * 10**8) / 100),
        ("ratio", "decimal", number / 10**12),
        ("is_partner", "boolean", rng.one_in(2)),
        ("first_contact", "date", day),
        ("products", "multiselect", [rng.choice(fixture_text.TAGS), rng.choice(fixture_text.TAGS)]),
        ("internal note", "text", ""),
        ("región", "text", None if rng.one_in(2) else rng.choice(fixture_text.COUNTRIES)),
        ("survey", "object", {"score": rng.randbelow(11), "comment": None, "asked": []}),
    )
    return [
        {"id": _FIRST_ID + index, "name": name, "type": kind, "value": value}
        for index, (name, kind, value) in enumerate(values)
    ]


def _attachment(rng: SeededRandom) -> Json:
    file_id = _FIRST_ID + rng.randbelow(10**15)
    return {
        "id": file_id,
        "name": f"Bildschirmfoto {rng.randbelow(1000)} (größer).png",
        "size": rng.randbelow(20_000_000),
        "href": f"https://files.example.com/{file_id}?inline=true&v=1",
    }
