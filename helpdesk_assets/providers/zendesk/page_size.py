"""How many tickets a page of the export may have: fewer after a time-out, more again later.

Zendesk asks clients to lower `per_page` step by step when an export times out
(developer.zendesk.com, /api-reference/ticketing/ticket-management/incremental_exports/). Must not
know calls.
"""

from __future__ import annotations

MAX_PAGE_SIZE = 1000
# So many good pages, and the next is twice as large. A failure after a good page doubles that, up
# to the limit: where large tickets lie together, a page that is too large costs minutes. Failures
# in a row count as one: a short trouble brings many.
FIRST_PATIENCE = 4
MAX_PATIENCE = 64


class PageSize:
    """The size of the next page."""

    def __init__(self, largest: int) -> None:
        """Begin with the largest size."""
        self.current = largest
        self.shrinks_in_a_row = 0
        self._largest = largest
        self._patience = FIRST_PATIENCE
        self._good_pages = 0
        self._has_grown = False

    def shrink(self) -> bool:
        """Halve the size after a failure; return False if it cannot be less."""
        if self.current == 1:
            return False
        self.current //= 2
        if self.shrinks_in_a_row == 0:
            self._patience = min(self._patience * 2, MAX_PATIENCE)
        self.shrinks_in_a_row += 1
        self._good_pages = 0
        self._has_grown = False
        return True

    def record_page(self) -> None:
        """Count a good page, and double the size after enough of them.

        If the size was a doubled one, it has held, and half the patience will do from now on.
        """
        self.shrinks_in_a_row = 0
        self._good_pages += 1
        if self._good_pages < self._patience:
            return
        self._good_pages = 0
        if self._has_grown:
            self._patience = max(self._patience // 2, FIRST_PATIENCE)
        self._has_grown = True
        self.current = min(self.current * 2, self._largest)
