"""What a warehouse of the tests cannot do, with the reason.

A test named here must fail there: once it passes, remove its line. The project's code works around
none of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from helpdesk_assets_tests.warehouses import WarehouseKind


@dataclass(frozen=True, slots=True)
class Limit:
    """A limitation; `tests` is a pattern of pytest's node ids."""

    kind: WarehouseKind
    tests: str
    reason: str


LIMITS: tuple[Limit, ...] = ()


def limit_of(kind: WarehouseKind, node_id: str) -> str | None:
    for limit in LIMITS:
        if limit.kind is kind and fnmatch(node_id, limit.tests):
            return limit.reason
    return None
