"""Compares the tickets table with the helpdesk, ticket by ticket and field by field.

Both sides are streams. Only a modified time and a digest per ticket are kept in memory, so 52,000
tickets need a few megabytes. Must not import HTTP or SQL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpdesk_assets.local.simulator.admin_answers import TrueTicket

COLUMNS = ("ticket_id", "modifiedTime", "raw_json")


@dataclass(slots=True)
class Comparison:
    """Counts of both sides, and the ticket ids of each kind of difference.

    Attributes:
        tickets: number of tickets in the helpdesk.
        rows: number of rows in the table.
        absent: not in the table.
        unknown: not in the helpdesk.
        duplicated: in more than one row.
        different_time: with another modified time.
        different_content: with the same modified time but another raw ticket.
    """

    tickets: int = 0
    rows: int = 0
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    different_time: list[str] = field(default_factory=list)
    different_content: list[str] = field(default_factory=list)

    @property
    def differences(self) -> dict[str, list[str]]:
        """Ticket ids by kind of difference, without empty kinds."""
        kinds = {
            "not in the table": self.absent,
            "not in the helpdesk": self.unknown,
            "more than once in the table": self.duplicated,
            "different modified time": self.different_time,
            "different content": self.different_content,
        }
        return {kind: ids for kind, ids in kinds.items() if ids}

    @property
    def is_equal(self) -> bool:
        """Whether the table has exactly the helpdesk's tickets."""
        return not self.differences and self.tickets == self.rows


def compare(truth: Iterable[TrueTicket], rows: Iterable[Mapping[str, Any]]) -> Comparison:
    """Compare the table with the helpdesk.

    Args:
        truth: every ticket of the helpdesk, with its raw ticket.
        rows: every row of the table, with at least `COLUMNS`.
    """
    expected = {each.ticket_id: (each.modified_time, _digest(each.raw_ticket)) for each in truth}
    result = Comparison(tickets=len(expected))
    seen: set[str] = set()
    for row in rows:
        result.rows += 1
        ticket_id = str(row["ticket_id"])
        if ticket_id in seen:
            result.duplicated.append(ticket_id)
            continue
        seen.add(ticket_id)
        if ticket_id not in expected:
            result.unknown.append(ticket_id)
            continue
        _compare_one(ticket_id, expected[ticket_id], row, result)
    result.absent = [ticket_id for ticket_id in expected if ticket_id not in seen]
    return result


def _compare_one(
    ticket_id: str, expected: tuple[datetime, bytes], row: Mapping[str, Any], result: Comparison
) -> None:
    modified, digest = expected
    if row["modifiedTime"] != modified:
        result.different_time.append(ticket_id)
    elif _digest(_parsed(row["raw_json"])) != digest:
        result.different_content.append(ticket_id)


def _parsed(value: Any) -> Any:
    """Return the value of a JSON column, which the local warehouse returns as text."""
    return json.loads(value) if isinstance(value, str) else value


def _digest(value: Any) -> bytes:
    """Return a digest of a JSON value that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
