"""What the stories have to know of each vendor: how to log in, its names, and what it cannot do.

`columns` is written from the vendor's documentation, not from the adapter: it is what the stored
row is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

from pydantic import SecretStr

from helpdesk_assets.simulator.server import SimulatedHelpdesk

Json = Mapping[str, Any]


class Gone(Enum):
    """How a vendor tells of a ticket that has left its lists."""

    TOLD = "by its last version, so the row is that one, with deletedTime"
    NOTICED = "by a notice only, so the row is as it was, with deletedTime"
    LIVES = "not at all, it stays in the lists and is no gone ticket here"
    UNTOLD = "not at all, so the row stays as it was"


@dataclass(frozen=True, slots=True)
class Vendor:
    """
    Attributes:
        name: as in HELPDESK_PROVIDER, and the simulator's dialect.
        settings: what it takes to log in at a simulated helpdesk.
        subject, modified: the vendor's names of these fields, to set them by.
        columns: the normalised columns that a whole ticket stands for, all but deletedTime.
        ends: by how a ticket left (`deleted`, `spam`, `merged`), what is told of it.
        spellings: ways to write a time that the vendor uses or is reported to use.
        calls_when_quiet: calls of a run that finds nothing changed.
        is_capped: whether one query reaches only so many rows.
        asks_again: whether a failed call for changes is tried again; else the listing is read.
        can_renew: whether a token that ends in mid-run can be had anew.
        orders_by_shown_time: whether changes are ordered by the modified time that is shown.
        cannot: stories that make no sense with this vendor, and why.
    """

    name: str
    settings: Callable[[SimulatedHelpdesk], Mapping[str, Any]]
    subject: str
    modified: str
    columns: Callable[[Json], dict[str, Any]]
    ends: Mapping[str, Gone]
    calls_when_quiet: int
    is_capped: bool
    asks_again: bool
    can_renew: bool
    orders_by_shown_time: bool = True
    spellings: tuple[Callable[[datetime], Any], ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)


def east(moment: datetime) -> str:
    """With an offset, as ISO 8601 allows."""
    return moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()


def west(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=-8))).isoformat()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _rest_columns(ticket: Json) -> dict[str, Any]:
    return {
        "subject": ticket["subject"],
        "status": ticket["status"],
        "priority": ticket["priority"],
        "assignee": ticket["assignee"],
        "createdTime": _at(ticket["createdTime"]),
        "modifiedTime": _at(ticket["modifiedTime"]),
    }


REST = Vendor(
    name="rest",
    settings=lambda desk: {"helpdesk_api_token": SecretStr(desk.token)},
    subject="subject",
    modified="modifiedTime",
    columns=_rest_columns,
    ends={"deleted": Gone.UNTOLD, "spam": Gone.UNTOLD, "merged": Gone.UNTOLD},
    calls_when_quiet=1,
    is_capped=False,
    asks_again=False,
    can_renew=False,
    spellings=(east, west),
)

VENDORS = (REST,)
