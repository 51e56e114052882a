"""What a run leaves to the next one about the recycle bin; it travels as the cursor.

Nothing depends on it but the number of calls: without it the bin is read as if for the first time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.paging.by_time import EPOCH

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
        module_id: the id of the module of tickets; empty if it cannot be had, or not be asked for.
    """

    read_until: datetime
    can_sort: bool
    module_id: str

    def to_text(self) -> str:
        """Return the cursor."""
        return json.dumps(
            {
                "read_until": self.read_until.isoformat(),
                "can_sort": self.can_sort,
                "module_id": self.module_id,
            }
        )

    @classmethod
    def from_text(cls, cursor: str | None) -> BinPlace | None:
        """Read a cursor; None if there is none, or if it is of another kind."""
        try:
            found = json.loads(cursor or "null")
            read_until = utc(datetime.fromisoformat(found["read_until"]))
            can_sort, module_id = found["can_sort"], found["module_id"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        is_id = isinstance(module_id, str) and (module_id == "" or _is_digits(module_id))
        if not isinstance(can_sort, bool) or not is_id or read_until < EPOCH:
            return None
        return cls(read_until, can_sort, module_id)

    def is_old(self, now: datetime) -> bool:
        """Return whether an unsorted bin is to be read whole; `now` is the helpdesk's clock."""
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
    # A sorted reading reaches the end of each window, so the next one begins where the window does.
    return since if place.can_sort else min(since, place.read_until - CLOCK_MARGIN)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
