"""Where a lease is written down: one cell that all processes see.

`lease_table.LeaseTable` keeps it in BigQuery; the tests have one in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from helpdesk_assets.model.lease import LeaseRecord


@dataclass(frozen=True, slots=True)
class StoredLease:
    """What the cell holds: nothing, or a record; `tag` stands for exactly this content."""

    record: LeaseRecord | None
    tag: Any


class LeaseCell(Protocol):
    """One cell that all processes see, written by compare-and-set."""

    def read(self) -> StoredLease:
        """Return what is there now."""
        ...

    def write(self, record: LeaseRecord, tag: Any) -> StoredLease | None:
        """Write the record if the content is still that of `tag`; None: it is not."""
        ...
