"""What an inventory of a helpdesk consists of: which tickets there are, and how new each one is.

An inventory holds no ticket's content, so that a sweep over millions stays cheap to fetch, to load
and to compare. Everybody may import this module, and it imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InventoryLine:
    """One ticket as the helpdesk lists it. `gone`: the helpdesk still tells of it, as of one that
    was deleted, merged away or thrown out as spam."""

    ticket_id: str
    modified_time: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """One answer of the helpdesk.

    `served_at` is the helpdesk's clock when it answered. `total` is how many tickets the helpdesk
    said there were, where it counts them: those that have not gone, as of the first answer. A
    sweep that ends with fewer lines that are not `gone` was cut short, or tickets left meanwhile.
    """

    lines: tuple[InventoryLine, ...]
    served_at: datetime
    total: int | None = None
