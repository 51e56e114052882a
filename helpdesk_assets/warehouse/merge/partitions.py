"""Bounds on the target's partitions, so that a MERGE does not scan the whole table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.warehouse.query import Parameter, quote
from helpdesk_assets.warehouse.table_spec import ColumnType

# A statement names each range twice; more of them would rather slow its planning than save bytes.
MAX_RANGES = 60


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """Partitions from `start` until before `end`; without an end, all later ones."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """Constant bounds on the target's partition column.

    BigQuery prunes only by constants. A target row outside the bounds counts as absent and is
    inserted a second time, so the bounds must cover every row that the source can match: the
    column never changes for a key, and no source row is NULL there unless the stored row is. A list
    of the keys themselves needs no such promise: it can leave out nothing that could match.

    Attributes:
        column: the partition column.
        ranges: the only partitions that can hold matching rows, beside the one of NULL.
        is_exact: the caller's ranges hold by the rows' meaning, so they are used for a table of any
            size.
    """

    column: str
    ranges: tuple[PartitionRange, ...]
    is_exact: bool = False

    @classmethod
    def around(cls, column: str, moments: Iterable[datetime]) -> PartitionBounds:
        """Bound the column by the months of the source's values; by their span if they are many."""
        months = sorted({start_of(moment, "MONTH") for moment in moments})
        if len(months) > MAX_RANGES:
            return cls(column, (PartitionRange(months[0], end_of(months[-1], "MONTH")),))
        ranges = (PartitionRange(month, end_of(month, "MONTH")) for month in months)
        return cls(column, _joined(ranges))

    @classmethod
    def at(cls, column: str, moment: datetime) -> PartitionBounds:
        """Bound the column by one value that all rows of the source have."""
        return cls(column, (PartitionRange(moment, moment + timedelta(microseconds=1)),))

    @classmethod
    def since(cls, column: str, moment: datetime) -> PartitionBounds:
        """Bound the column from below, where no earlier row can match."""
        return cls(column, (PartitionRange(moment),), is_exact=True)

    def whole_partitions(self, unit: str) -> PartitionBounds:
        """Widen the ranges to the beginning and end of their partitions, in UTC.

        Args:
            unit: HOUR, DAY, MONTH or YEAR.
        """
        widened = (_widened(each, unit) for each in self.ranges)
        return PartitionBounds(self.column, _joined(widened), self.is_exact)

    def condition(self, alias: str) -> str:
        """Return the condition on the target's column, by the constants of `parameters`."""
        column = f"{alias}.{quote(self.column)}"
        tests = [f"{column} IS NULL"]
        for number, each in enumerate(self.ranges):
            test = f"{column} >= @prune_from_{number}"
            if each.end is not None:
                test = f"({test} AND {column} < @prune_to_{number})"
            tests.append(test)
        return f"({' OR '.join(tests)})" if len(tests) < 3 else _in_lines(tests)

    def parameters(self) -> tuple[Parameter, ...]:
        """Return the constants that `condition` names."""
        named = [
            (f"prune_{edge}_{number}", moment)
            for number, each in enumerate(self.ranges)
            for edge, moment in (("from", each.start), ("to", each.end))
        ]
        return tuple(
            Parameter(name, ColumnType.TIMESTAMP, moment) for name, moment in named if moment
        )


def start_of(moment: datetime, unit: str) -> datetime:
    """Return the beginning of a moment's partition, in UTC."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return {
        "HOUR": hour,
        "DAY": hour.replace(hour=0),
        "MONTH": hour.replace(day=1, hour=0),
        "YEAR": hour.replace(month=1, day=1, hour=0),
    }[unit]


def end_of(moment: datetime, unit: str) -> datetime | None:
    """Return the beginning of the partition after a moment's; None where time ends."""
    start = start_of(moment, unit)
    longest = {"HOUR": 1, "DAY": 24, "MONTH": 31 * 24, "YEAR": 366 * 24}[unit]
    try:
        return start_of(start + timedelta(hours=longest), unit)
    except OverflowError:
        return None


def _widened(each: PartitionRange, unit: str) -> PartitionRange:
    start = start_of(each.start, unit)
    if each.end is None:
        return PartitionRange(start)
    return PartitionRange(start, end_of(each.end - timedelta(microseconds=1), unit))


def _joined(ranges: Iterable[PartitionRange]) -> tuple[PartitionRange, ...]:
    """Join ranges that touch; they are in order."""
    joined = list[PartitionRange]()
    for each in ranges:
        last = joined[-1] if joined else None
        if last is None or (last.end is not None and last.end < each.start):
            joined.append(each)
        elif last.end is not None:
            later = None if each.end is None else max(last.end, each.end)
            joined[-1] = PartitionRange(last.start, later)
    return tuple(joined)


def _in_lines(tests: list[str]) -> str:
    return "(\n    " + "\n    OR ".join(tests) + "\n  )"
