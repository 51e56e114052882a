"""Windows in local time contain the requested span, whichever way RT reads local times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.request_tracker.local_times import at_or_after, at_or_before, zone

ZONES = (
    "UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin", "America/St_Johns",
    "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
)  # fmt: skip
NEW_YORK = ZoneInfo("America/New_York")


def by_offset_search(local: datetime, where: ZoneInfo) -> datetime:
    """Read a local time with the zone's offset at that time in UTC."""
    as_utc = local.replace(tzinfo=UTC)
    return as_utc - (as_utc.astimezone(where).utcoffset() or timedelta(0))


def by_zoneinfo(local: datetime, where: ZoneInfo) -> list[datetime]:
    """Read a local time in its zone: ambiguous ones in both ways, missing ones as no time."""
    readings = [local.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert all(each.astimezone(where).replace(tzinfo=None) == local for each in readings)
    return readings


@given(
    some.floats(1.23e9, 1.9e9),
    some.sampled_from(ZONES),
)
def test_local_time_bounds_exclude_nothing(timestamp: float, name: str) -> None:
    moment, where = datetime.fromtimestamp(timestamp, UTC), ZoneInfo(name)
    start = datetime.fromisoformat(at_or_before(moment, where))
    end = datetime.fromisoformat(at_or_after(moment, where))
    assert all(
        each <= moment for each in [by_offset_search(start, where), *by_zoneinfo(start, where)]
    )
    assert all(each >= moment for each in [by_offset_search(end, where), *by_zoneinfo(end, where)])


@pytest.mark.parametrize("name", ZONES)
def test_every_minute_of_a_year_of_changes(name: str) -> None:
    """At most an hour is requested in vain, and usually nothing."""
    where = ZoneInfo(name)
    moment, exact, total = datetime(2011, 1, 1, tzinfo=UTC), 0, 0
    while moment.year == 2011:
        start = datetime.fromisoformat(at_or_before(moment, where))
        early = moment - by_offset_search(start, where)
        assert timedelta(0) <= early <= timedelta(hours=1)
        exact, total = exact + (not early), total + 1
        moment += timedelta(minutes=47)
    assert exact / total > 0.995


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-11-23T19:40:37Z", "2026-11-23 14:40:37", "2026-11-23 14:40:37"),
        ("2026-07-01T00:00:00Z", "2026-06-30 20:00:00", "2026-06-30 20:00:00"),
        # 01:30 comes twice. By the book, the start would not be early enough or the end not late.
        ("2026-11-01T05:30:00Z", "2026-11-01 00:30:00", "2026-11-01 01:30:00"),
        ("2026-11-01T06:30:00Z", "2026-11-01 01:30:00", "2026-11-01 02:30:00"),
    ],
)
def test_formatted_local_times(moment: str, start: str, end: str) -> None:
    at = datetime.fromisoformat(moment)
    assert (at_or_before(at, NEW_YORK), at_or_after(at, NEW_YORK)) == (start, end)


def test_fractions_of_a_second_are_included() -> None:
    moment = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    assert at_or_before(moment, berlin) == "2026-07-01 14:00:00"
    assert at_or_after(moment, berlin) == "2026-07-01 14:00:01"


def test_time_without_zone_is_rejected() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        at_or_before(datetime(2026, 7, 1), NEW_YORK)  # noqa: DTZ001


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "../etc/passwd", "Europe"])
def test_unknown_time_zone(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^The name is .* not a known time zone"):
        zone(name, "The name")
