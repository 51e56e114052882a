"""What a run leaves to the next one about the recycle bin; it travels as the cursor.

Nothing depends on it but the number of calls: without it the bin is read as if for the first time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.paging.by_time import EPOCH
from helpdesk_assets.providers.zoho_desk.bin_labels import MAX_LABEL_CHARS, TicketModule

# A bin that cannot be read from its newest end is read whole this often.
WHOLE_EVERY = timedelta(days=1)
# The clock of an answer may be ahead of the one that dates deletions.
CLOCK_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BinPlace:
    """How far the bin has been read, and how it can be.

    Attributes:
        read_until: every deletion up to this time has been read.
        can_sort: False if Zoho Desk does not sort the bin.
        module: the module of tickets; its id is empty if it cannot be had, or not be asked for.
    """

    read_until: datetime
    can_sort: bool
    module: TicketModule

    def to_text(self) -> str:
        """Return the cursor."""
        return json.dumps(
            {
                "read_until": self.read_until.isoformat(),
                "can_sort": self.can_sort,
                "module_id": self.module.module_id,
                "label": self.module.label,
            }
        )

    @classmethod
    def from_text(cls, cursor: str | None) -> BinPlace | None:
        """Read a cursor; None if there is none, or if it is of another kind."""
        try:
            found = json.loads(cursor or "null")
            read_until = utc(datetime.fromisoformat(found["read_until"]))
            can_sort, module_id, label = found["can_sort"], found["module_id"], found["label"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        is_id = isinstance(module_id, str) and (module_id == "" or _is_digits(module_id))
        is_label = isinstance(label, str) and len(label) <= MAX_LABEL_CHARS
        if not (isinstance(can_sort, bool) and is_id and is_label) or read_until < EPOCH:
            return None
        return cls(read_until, can_sort, TicketModule(module_id, label))

    def is_old(self, now: datetime) -> bool:
        """Return whether a bin that is not known to be sorted is to be read whole.

        Args:
            now: the helpdesk's clock.
        """
        return not timedelta(0) <= now - self.read_until < WHOLE_EVERY


def deletions_since(since: datetime | None, place: BinPlace | None) -> datetime | None:
    """Return from when on deletions have to be read, for a window that begins at `since`.

    No run closes without a reading of all new deletions in the day before its watermark. So a run
    that does not know when that was reads those of a day more.
    """
    if since is None or since < EPOCH:
        return None
    if place is None:
        return since - WHOLE_EVERY - CLOCK_MARGIN
    # A reading known to be sorted reaches the end of each window, so the next one begins where the
    # window does.
    is_reached = place.can_sort and place.read_until >= since
    return since if is_reached else min(since, place.read_until - CLOCK_MARGIN)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
