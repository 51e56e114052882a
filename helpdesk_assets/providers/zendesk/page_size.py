"""How many tickets a page of the export may have: fewer after a time-out, more again later.

Zendesk asks clients to lower `per_page` step by step when an export times out
(developer.zendesk.com, /api-reference/ticketing/ticket-management/incremental_exports/). Must not
know calls.
"""

from __future__ import annotations

MAX_PAGE_SIZE = 1000
# So many pages in time, and the next is twice as large. Each time-out doubles that, up to the
# limit: where large tickets lie together, a page that is too large costs minutes.
FIRST_PATIENCE = 4
MAX_PATIENCE = 64


class PageSize:
    """The size of the next page."""

    def __init__(self, largest: int) -> None:
        """Begin with the largest size."""
        self.current = largest
        self._largest = largest
        self._patience = FIRST_PATIENCE
        self._in_time = 0

    def shrink(self) -> bool:
        """Halve the size after a time-out; return False if it cannot be less."""
        if self.current == 1:
            return False
        self.current //= 2
        self._patience = min(self._patience * 2, MAX_PATIENCE)
        self._in_time = 0
        return True

    def record_page(self) -> None:
        """Count a page that came in time, and double the size after enough of them."""
        self._in_time += 1
        if self._in_time >= self._patience and self.current < self._largest:
            self.current = min(self.current * 2, self._largest)
            self._in_time = 0
