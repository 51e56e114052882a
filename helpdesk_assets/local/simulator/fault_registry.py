"""The active faults, the calls they apply to, and how many calls they have left.

A call that cannot show a fault (a repeated token without a token) does not use it up. What a fault
does is in `middleware`, `response_faults`, `helpdesk` and the dialects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# `gone` is the vendor's endpoint for deleted tickets, `login` the one that issues tokens.
ENDPOINTS = ("search", "listing", "ticket", "gone", "login")
UNLIMITED = -1

# Every fault with its parameters and their defaults.
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "error_500": {"status": 500},
    "slow_pages": {"rows": 250},
    "rate_limit_429": {"retry_after": 1},
    "rate_limit": {"calls": 10, "window_seconds": 1.0},
    "drop_connection": {},
    "truncated_json": {},
    "page_cut_short": {"keep": 3},
    "empty_page": {},
    "not_json": {},
    "missing_fields": {},
    "repeated_token": {},
    "repeated_rows": {"rows": 3},
    "changes_while_paging": {"changes": 5, "advance_seconds": 0.0},
    "search_lag": {"seconds": 60.0},
    "clock_offset": {"seconds": 3600.0},
    "date_ahead": {"seconds": 3600.0},
    "latency": {"seconds": 0.05},
    "token_ends": {},
    "bad_ticket": {"kind": "no_id", "rows": 1, "ids": ()},
    "future_row": {"modified": "2099-12-31T23:59:59Z"},
    "thin_rows": {},
    "volatile_fields": {},
}
_SCOPE: Mapping[str, Any] = {"on": "all", "count": UNLIMITED, "after": 0}
# A wrong clock is wrong on all calls, until the fault is cleared.
_UNSCOPED = frozenset({"clock_offset"})
BAD_TICKET_KINDS = ("no_id", "bad_time")

Params = Mapping[str, Any]


class InvalidFault(ValueError):
    """The fault is unknown, or its parameters are invalid."""


@dataclass(slots=True)
class _Fault:
    params: Params
    on: str
    remaining_calls: int
    after: int


class FaultRegistry:
    """The active faults, by name."""

    def __init__(self) -> None:
        self._active: dict[str, _Fault] = {}

    def activate(self, requested: Mapping[str, Any]) -> None:
        """Activate faults; each replaces an active one of the same name.

        Raises:
            InvalidFault: a fault or a parameter is invalid; no fault has changed.
        """
        self._active.update({name: _parse_fault(name, given) for name, given in requested.items()})

    def clear(self, name: str | None = None) -> None:
        """Deactivate the fault `name`, or all faults."""
        if name is None:
            self._active.clear()
        else:
            self._active.pop(name, None)

    def consume(self, name: str, endpoint: str) -> Params | None:
        """Count the call, and return the fault's parameters if the call has to show it."""
        fault = self._active.get(name)
        if fault is None or fault.on not in ("all", endpoint):
            return None
        if fault.after > 0:
            fault.after -= 1
            return None
        if fault.remaining_calls != UNLIMITED:
            fault.remaining_calls -= 1
            if fault.remaining_calls <= 0:
                del self._active[name]
        return fault.params

    def active(self, name: str) -> Params | None:
        """Return the fault's parameters if it is active, without counting a call."""
        fault = self._active.get(name)
        return None if fault is None else fault.params

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return parameters and remaining calls of the active faults, by name."""
        return {
            name: {
                **fault.params,
                "on": fault.on,
                "count": fault.remaining_calls,
                "after": fault.after,
            }
            for name, fault in self._active.items()
        }


def _parse_fault(name: str, given: object) -> _Fault:
    if name not in FAULTS:
        raise InvalidFault(f"unknown fault {name!r}; use one of {', '.join(FAULTS)}")
    if not isinstance(given, Mapping):
        raise InvalidFault(f"{name} takes an object of parameters")
    scope = {} if name in _UNSCOPED else _SCOPE
    unknown = set(given) - set(FAULTS[name]) - set(scope)
    if unknown:
        raise InvalidFault(f"{name} does not take {', '.join(sorted(unknown))}")
    values = {**_SCOPE, **FAULTS[name], **given}
    _check_values(name, values)
    params = {key: values[key] for key in FAULTS[name]}
    return _Fault(params, values["on"], values["count"], values["after"])


def _check_values(name: str, values: Params) -> None:
    for key, default in {**_SCOPE, **FAULTS[name]}.items():
        value = values[key]
        # Retry-After is sent as given: seconds, a date, nonsense, or no header at all.
        if isinstance(default, (int, float)) and key != "retry_after":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InvalidFault(f"{name}: {key} must be a number")
            if isinstance(default, int) and not isinstance(value, int):
                raise InvalidFault(f"{name}: {key} must be a whole number")
    if values["on"] not in ("all", *ENDPOINTS):
        raise InvalidFault(f"{name}: on must be all, {', '.join(ENDPOINTS)}")
    if values["count"] == 0 or values["count"] < UNLIMITED:
        raise InvalidFault(f"{name}: count must be at least 1, or {UNLIMITED} for all calls")
    if name == "bad_ticket" and values["kind"] not in BAD_TICKET_KINDS:
        raise InvalidFault(f"{name}: kind must be {' or '.join(BAD_TICKET_KINDS)}")
    if name == "rate_limit" and values["window_seconds"] <= 0:
        raise InvalidFault(f"{name}: window_seconds must be more than 0")


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The state of a rate limit after a call, for the vendor's rate limit headers."""

    limit: int
    remaining: int
    reset_seconds: int
    exceeded: bool


class RateWindow:
    """Counts calls per window of the helpdesk's clock, for the fault `rate_limit`."""

    def __init__(self) -> None:
        self._opened = -math.inf
        self._calls = 0

    def count_call(self, now: float, calls: int, window_seconds: float) -> RateLimitStatus:
        """Count one call.

        Args:
            now: the helpdesk's time in seconds since 1970.
            calls: number of calls that a window allows.
            window_seconds: length of a window.
        """
        # A window in the future was opened before the clock was turned back.
        if not self._opened <= now < self._opened + window_seconds:
            self._opened, self._calls = now, 0
        self._calls += 1
        return RateLimitStatus(
            limit=calls,
            remaining=max(calls - self._calls, 0),
            reset_seconds=max(math.ceil(self._opened + window_seconds - now), 1),
            exceeded=self._calls > calls,
        )
