"""Writes a time as local time, for a helpdesk that accepts no zone, so that no ticket is lost.

Local times are ambiguous: one hour of a year comes twice, and another never. Worse, readers may
simplify: Request Tracker subtracts the offset that is in force when UTC shows the same figures,
which is wrong for some hours around each change of the clocks; one of its settings makes it read
them correctly. So a bound is written such that either interpretation puts it at the right time or
further out, never further in. Must not know vendors or queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.model.tickets import utc

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def zone(name: str, setting: str) -> ZoneInfo:
    """Return the zone of this name; `setting` is where the name comes from.

    Raises:
        SettingsError: the zone is unknown, or this machine has no database of zones.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"{setting} is {name!r}, which is not a known time zone. Write it like Europe/Berlin "
            "or UTC, or install the package tzdata."
        ) from None


def at_or_before(moment: datetime, tz: ZoneInfo) -> str:
    """Return the latest local time that cannot be read as later than the moment."""
    start = utc(moment).replace(microsecond=0, tzinfo=None)
    return _text(next(at for at in _candidates(start, tz, -1) if _is_safe_bound(at, start, tz, -1)))


def at_or_after(moment: datetime, tz: ZoneInfo) -> str:
    """Return the earliest local time that cannot be read as earlier than the moment."""
    end = utc(moment).replace(tzinfo=None)
    if end.microsecond:
        end = end.replace(microsecond=0) + SECOND
    return _text(next(at for at in _candidates(end, tz, 1) if _is_safe_bound(at, end, tz, 1)))


def _candidates(moment: datetime, tz: ZoneInfo, direction: int) -> Iterator[datetime]:
    """Yield local times that may stand for the moment, from the innermost outwards."""
    offsets = sorted({_offset(moment + days * DAY, tz) for days in (-1, 0, 1)})
    step = offsets[-1] - offsets[0]
    if direction < 0:
        offsets.reverse()
    for offset in offsets:
        yield moment + offset
    for times in count(1):
        yield moment + offsets[-1] + direction * times * (step or SECOND)


def _is_safe_bound(local: datetime, moment: datetime, tz: ZoneInfo, direction: int) -> bool:
    interpretations = [local - _offset(local, tz)]
    for fold in (0, 1):
        utc_time = local.replace(tzinfo=tz, fold=fold).astimezone(UTC)
        if utc_time.astimezone(tz).replace(tzinfo=None) != local:
            # A skipped hour: a correct reader rejects it and then finds nothing.
            return False
        interpretations.append(utc_time.replace(tzinfo=None))
    return all(direction * (utc_time - moment) >= timedelta(0) for utc_time in interpretations)


def _offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    """Return the zone's offset at a naive time in UTC."""
    return moment.replace(tzinfo=UTC).astimezone(tz).utcoffset() or timedelta(0)


def _text(local: datetime) -> str:
    return local.isoformat(" ", "seconds")
