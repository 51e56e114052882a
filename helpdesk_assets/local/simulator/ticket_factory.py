"""What the tickets are: the first population, and the whole object of any version on demand.

A version is five small values; the 3 to 6 KB object is written anew each time it is served, from
(seed, id, revision) alone. So 52,000 tickets start in a moment, and the same seed gives the same
bytes in whatever order they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.seeded_random import Dice

Json = dict[str, Any]

DAY = 86_400
HISTORY = 730 * DAY
# 18 digits, beyond 2^53: whoever reads an id as a float meets another ticket's id.
_FIRST_ID = 421_370_000_000_000_000
_ID_STRIDE = 7_919
FUTURE_ID = "999999999999999999"


def _paragraph(number: int) -> str:
    dice = Dice("paragraph", number)
    return " ".join(dice.pick(fixture_text.SENTENCES) for _ in range(6))


# Written once: drawing every sentence of every ticket took half the time of serving a page.
_PARAGRAPHS = tuple(map(_paragraph, range(256)))


class Version(NamedTuple):
    """One version of one ticket; times in whole seconds since 1970.

    `shown` is the modified time that the API tells, where that is not `modified`: a change by the
    vendor's own system moves the ticket in the order of changes, and not the time that is told.
    """

    ticket_id: str
    created: int
    modified: int
    revision: int
    overlay: Mapping[str, Any] | None
    shown: int | None = None

    @property
    def shown_time(self) -> int:
        return self.modified if self.shown is None else self.shown


def ticket_id(seed: int, number: int) -> str:
    """The id of the ticket that was made as number `number`; ascending with it."""
    return str(_FIRST_ID + number * _ID_STRIDE + Dice(seed, "id", number).below(_ID_STRIDE))


def population(seed: int, count: int, start: int) -> Iterator[Version]:
    """`count` tickets made in the two years before `start`, in the order they were made."""
    slot = max(HISTORY // max(count, 1), 1)
    previous = 0
    for number in range(count):
        dice = Dice(seed, "times", number)
        created = start - HISTORY + HISTORY * number // count + dice.below(slot)
        share = dice.below(1 << 20) / (1 << 20)
        # The third power: most tickets rest soon after they were made, a few are still moving.
        modified = created + int((start - created) * share**3)
        # A few share their second with another, or no test would ever meet a tie.
        if dice.one_in(20) and previous >= created:
            modified = previous
        previous = modified
        yield Version(ticket_id(seed, number), created, modified, 0, None)


def whole(seed: int, version: Version) -> Json:
    """The whole object of one version, as `GET /v2/tickets/{id}` gives it."""
    ticket = body(seed, version)
    if version.overlay:
        ticket.update(version.overlay)
    return ticket


def body(seed: int, version: Version) -> Json:
    """The whole object before what was set on it by name, for dialects with names of their own."""
    dice = Dice(seed, "body", version.ticket_id)
    number = 1_000 + dice.below(9_000_000)
    ticket: Json = {
        "id": version.ticket_id,
        "ticketNumber": number,
        "subject": dice.pick(fixture_text.SUBJECTS).replace("{n}", str(number)),
        "createdTime": to_text(version.created),
        "modifiedTime": to_text(version.shown_time),
        "channel": dice.pick(fixture_text.CHANNELS),
        "language": dice.pick(fixture_text.LANGUAGES),
        "department": {
            "id": _FIRST_ID + dice.below(1_000_000),
            "name": dice.pick(fixture_text.DEPARTMENTS),
        },
        "requester": _requester(dice),
        "description": "\n\n".join(dice.pick(_PARAGRAPHS) for _ in range(3 + dice.below(2))),
        "dueDate": None if dice.one_in(3) else to_text(version.created + 3 * DAY),
        "parentId": _FIRST_ID + dice.below(10**15) if dice.one_in(6) else None,
        "customFields": _custom_fields(dice, version.created),
        "attachments": [_attachment(dice) for _ in range(dice.below(3))],
        "isSpam": False,
    }
    ticket.update(_moving_fields(seed, version))
    return ticket


def _moving_fields(seed: int, version: Version) -> Json:
    """What a change changes. `updateCount` alone makes each revision's content its own."""
    dice = Dice(seed, "state", version.ticket_id, version.revision)
    status = dice.pick(fixture_text.STATUSES)
    return {
        "status": status,
        "priority": dice.pick(fixture_text.PRIORITIES),
        "assignee": None if dice.one_in(7) else f"{dice.pick(fixture_text.AGENTS)}@example.com",
        "tags": sorted({dice.pick(fixture_text.TAGS) for _ in range(dice.below(5))}),
        "closedTime": to_text(version.modified) if status == "Closed" else None,
        "lastComment": {
            "id": _FIRST_ID + dice.below(10**15),
            "author": dice.pick(fixture_text.NAMES),
            "text": dice.pick(fixture_text.SENTENCES),
            "public": not dice.one_in(4),
        },
        "threadCount": version.revision + dice.below(12),
        "updateCount": version.revision,
    }


def _requester(dice: Dice) -> Json:
    return {
        "id": _FIRST_ID + dice.below(10**15),
        "name": dice.pick(fixture_text.NAMES),
        "email": f"customer{dice.below(100_000)}@example.org",
        "phone": None if dice.one_in(3) else f"+49 30 {dice.below(10**7):07d}",
        "company": {
            "id": _FIRST_ID + dice.below(10**12),
            "name": dice.pick(fixture_text.COMPANIES),
            "industry": dice.pick(fixture_text.INDUSTRIES),
            "address": {
                "country": dice.pick(fixture_text.COUNTRIES),
                "postalCode": f"{dice.below(100_000):05d}",
                "lines": [f"Straße des {dice.below(31) + 1}. Juni {dice.below(200)}", ""],
            },
        },
    }


def _custom_fields(dice: Dice, created: int) -> list[Json]:
    """One of each type that real helpdesks have, in the shape most of them give: a list."""
    number, day = dice.below(10**9), to_text(created + dice.below(90) * DAY)[:10]
    values: tuple[tuple[str, str, object], ...] = (
        ("order_number", "text", f"000{number}"),
        ("order_reference", "integer", 9_007_199_254_740_993 + number),
        ("amount", "decimal", (number - 5 * 10**8) / 100),
        ("ratio", "decimal", number / 10**12),
        ("is_partner", "boolean", dice.one_in(2)),
        ("first_contact", "date", day),
        ("products", "multiselect", [dice.pick(fixture_text.TAGS), dice.pick(fixture_text.TAGS)]),
        ("internal note", "text", ""),
        ("región", "text", None if dice.one_in(2) else dice.pick(fixture_text.COUNTRIES)),
        ("survey", "object", {"score": dice.below(11), "comment": None, "asked": []}),
    )
    return [
        {"id": _FIRST_ID + place, "name": name, "type": kind, "value": value}
        for place, (name, kind, value) in enumerate(values)
    ]


def _attachment(dice: Dice) -> Json:
    file_id = _FIRST_ID + dice.below(10**15)
    return {
        "id": file_id,
        "name": f"Bildschirmfoto {dice.below(1000)} (größer).png",
        "size": dice.below(20_000_000),
        "href": f"https://files.example.com/{file_id}?inline=true&v=1",
    }
