"""Bounds on the target's partitions, so that a MERGE does not scan the whole table."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.warehouse.query import Parameter
from helpdesk_assets.warehouse.table_spec import ColumnType


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """Constant bounds on the target's partition column, both inclusive.

    BigQuery prunes only by constants. A target row outside the bounds counts as absent and is
    inserted a second time, so the bounds must cover every row that the source can match: the
    column never changes for a key, and no source row is NULL there unless the stored row is.
    """

    column: str
    start: datetime
    end: datetime

    def whole_partitions(self, unit: str) -> PartitionBounds:
        """Widen the bounds to the beginning and end of their partitions, in UTC.

        Args:
            unit: HOUR, DAY, MONTH or YEAR.
        """
        start = _start_of(self.start.astimezone(UTC), unit)
        last = _start_of(self.end.astimezone(UTC), unit)
        length = {
            "HOUR": timedelta(hours=1),
            "DAY": timedelta(days=1),
            "MONTH": timedelta(days=monthrange(last.year, last.month)[1]),
            "YEAR": last.replace(month=12, day=31) - last + timedelta(days=1),
        }[unit]
        # Subtract from the length first: there is no time after the last month of 9999.
        return PartitionBounds(self.column, start, last + (length - timedelta(microseconds=1)))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return `@prune_from` and `@prune_to`, as the MERGE names them."""
        return (
            Parameter("prune_from", ColumnType.TIMESTAMP, self.start),
            Parameter("prune_to", ColumnType.TIMESTAMP, self.end),
        )


def _start_of(moment: datetime, unit: str) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return {
        "HOUR": hour,
        "DAY": hour.replace(hour=0),
        "MONTH": hour.replace(day=1, hour=0),
        "YEAR": hour.replace(month=1, day=1, hour=0),
    }[unit]
