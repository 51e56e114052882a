"""What an inventory of a helpdesk consists of: which tickets there are, and how new each one is.

An inventory holds no ticket's content, so that a sweep over millions stays cheap to fetch, to load
and to compare. Everybody may import this module, and it imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InventoryLine:
    """One ticket as the helpdesk lists it.

    `gone`: the helpdesk tells of it as of one that was deleted, merged away or marked as spam. Its
    `modified_time` may then be when it went, in place of its last change.
    """

    ticket_id: str
    modified_time: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """One answer of the helpdesk.

    `served_at` is the helpdesk's clock when it answered. `total` is how many tickets it said that
    there are when the inventory began, where it counts them; an inventory of fewer ids was cut
    short. `unreadable` are the ids of tickets that are there, and whose row has no time that can be
    read: what becomes of them is not known, so they are neither in `lines` nor absent.
    """

    lines: tuple[InventoryLine, ...]
    served_at: datetime
    total: int | None = None
    unreadable: tuple[str, ...] = ()
