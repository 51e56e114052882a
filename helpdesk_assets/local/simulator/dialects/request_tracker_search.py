"""Search of Request Tracker's tickets: by id, or by time of the last change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from helpdesk_assets.local.simulator.dialects.request_tracker_sql import (
    Condition,
    InvalidQuery,
    parse_query_time,
)
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.ticket_store import TicketSlice

END_OF_TIME = 253_402_300_799


def ticket_finder(
    backend: HelpdeskBackend,
    query_conditions: Sequence[Condition],
    order: Sequence[str],
    direction: str,
    zone: ZoneInfo,
) -> Callable[[int, int], TicketSlice]:
    """Return a function that finds a page of the tickets which meet the conditions.

    Args:
        backend: the helpdesk's state.
        query_conditions: conditions that every ticket meets.
        order: fields to order by; empty for the id.
        direction: `ASC` or `DESC`.
        zone: time zone of the conditions.

    Returns:
        A function of the page's offset and limit.

    Raises:
        InvalidQuery: a field or the order is not simulated.
    """
    store = backend.store
    times, ids = [0, END_OF_TIME], [0, END_OF_TIME * 10**9]
    for condition in query_conditions:
        if condition.field == "id":
            _narrow(ids, condition, int(condition.value))
        elif condition.field == "LastUpdated":
            _narrow(times, condition, parse_query_time(condition.value, zone))
        else:
            raise InvalidQuery(f"Unknown field: {condition.field}")
    lag = backend.faults.consume("search_lag", "search")
    horizon = None if lag is None else int(backend.clock.tick() - lag["seconds"])
    start, end = times
    if order[:1] == ["LastUpdated"] and ids[0] <= 1:
        if direction == "DESC":
            return store.newest_first
        return lambda offset, limit: store.modified_between(start, end, offset, limit, horizon)
    if order not in ([], ["id"]):
        raise InvalidQuery("this search is not simulated")
    numbers = sorted(int(each) for each in store.ids())
    versions = (store.get(str(each)) for each in numbers if ids[0] <= each <= ids[1])
    matching = [version for version in versions if version and start <= version.modified <= end]
    return lambda offset, limit: TicketSlice(matching[offset : offset + limit], len(matching))


def _narrow(bounds: list[int], condition: Condition, value: int) -> None:
    """Apply a condition to `bounds` in place; both ends are inclusive."""
    operator = condition.operator
    if operator == "=" and condition.field == "LastUpdated":
        bounds[:] = value - value % 86_400, value - value % 86_400 + 86_399  # the whole day
    elif operator in (">", ">=", "="):
        bounds[0] = max(bounds[0], value + (operator == ">"))
    if operator in ("<", "<=") or (operator == "=" and condition.field == "id"):
        bounds[1] = min(bounds[1], value - (operator == "<"))
