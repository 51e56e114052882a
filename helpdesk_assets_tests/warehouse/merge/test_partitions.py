"""Bounds on partitions: ranges that cover every row of their months, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.warehouse.merge.partitions import (
    MAX_RANGES,
    PartitionBounds,
    PartitionRange,
    end_of,
)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ranges(bounds: PartitionBounds) -> list[tuple[str, str | None]]:
    return [
        (each.start.isoformat()[:13], each.end.isoformat()[:13] if each.end else None)
        for each in bounds.ranges
    ]


def test_months_far_apart_stay_apart() -> None:
    """One old ticket among fifty does not make the range the whole table."""
    made = [moment("2019-02-28T23:59:59.999999"), moment("2026-10-31"), moment("2026-11-30")]
    assert ranges(PartitionBounds.around("made", made)) == [
        ("2019-02-01T00", "2019-03-01T00"),
        ("2026-10-01T00", "2026-12-01T00"),
    ]


def test_too_many_months_become_their_span() -> None:
    made = [
        moment(f"{2000 + number // 12}-{number % 12 + 1:02d}-05") for number in range(0, 200, 2)
    ]
    assert len(made) > MAX_RANGES
    assert ranges(PartitionBounds.around("made", made)) == [("2000-01-01T00", "2016-08-01T00")]
    assert len(PartitionBounds.around("made", made[:MAX_RANGES]).ranges) == MAX_RANGES


def test_zones_are_of_no_matter() -> None:
    late = datetime.fromisoformat("2024-02-01T00:30:00+01:00")
    assert ranges(PartitionBounds.around("made", [late])) == [("2024-01-01T00", "2024-02-01T00")]


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [
        ("HOUR", "2024-02-10T07", "2024-02-10T08"),
        ("DAY", "2024-02-10T00", "2024-02-11T00"),
        ("MONTH", "2024-02-01T00", "2024-03-01T00"),
        ("YEAR", "2024-01-01T00", "2025-01-01T00"),
    ],
)
def test_ranges_are_widened_to_whole_partitions(unit: str, start: str, end: str) -> None:
    bounds = PartitionBounds.at("made", datetime.fromisoformat("2024-02-10T08:30:00+01:00"))
    assert ranges(bounds.whole_partitions(unit)) == [(start, end)]
    months = PartitionBounds.around("made", [moment("2024-01-05"), moment("2024-03-05")])
    assert ranges(months.whole_partitions("YEAR")) == [("2024-01-01T00", "2025-01-01T00")]


@pytest.mark.parametrize("unit", ["HOUR", "DAY", "MONTH", "YEAR"])
def test_last_possible_partition_has_no_end(unit: str) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert end_of(last, unit) is None
    (found,) = PartitionBounds.around("made", [last]).whole_partitions(unit).ranges
    assert (found.end, found.start <= last) == (None, True)


@pytest.mark.parametrize("unit", ["HOUR", "DAY", "MONTH", "YEAR"])
@pytest.mark.parametrize("year", [2023, 2024])
def test_partition_ends_where_the_next_begins(unit: str, year: int) -> None:
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        after = end_of(at, unit)
        assert after is not None
        assert end_of(after - timedelta(microseconds=1), unit) == after
        assert at < after
        at += timedelta(hours=31)


def test_conditions_name_their_constants() -> None:
    bounds = PartitionBounds(
        "made",
        (
            PartitionRange(moment("2020-01-01"), moment("2020-02-01")),
            PartitionRange(moment("2026-01-01")),
        ),
    )
    assert bounds.condition("T") == (
        "(\n    T.`made` IS NULL"
        "\n    OR (T.`made` >= @prune_from_0 AND T.`made` < @prune_to_0)"
        "\n    OR T.`made` >= @prune_from_1\n  )"
    )
    names = [each.name for each in bounds.parameters()]
    assert names == ["prune_from_0", "prune_to_0", "prune_from_1"]
