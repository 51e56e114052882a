"""What a warehouse of the tests cannot do, with the reason, in this one list.

A test named here must fail there: once it passes, the line has to go. Nothing of this is worked
round in the project's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from helpdesk_assets_tests.warehouses import WarehouseKind


@dataclass(frozen=True, slots=True)
class Limit:
    """`tests`: a pattern of pytest's node ids."""

    kind: WarehouseKind
    tests: str
    reason: str


LIMITS: tuple[Limit, ...] = ()


def limit_of(kind: WarehouseKind, node_id: str) -> str | None:
    for limit in LIMITS:
        if limit.kind is kind and fnmatch(node_id, limit.tests):
            return limit.reason
    return None
