"""Typed client of the simulator's admin API.

Needs only requests, so that it can be imported where no server is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import requests

from helpdesk_assets.local.simulator.admin_answers import (
    CallCounts,
    ClockState,
    TrueTicket,
    WebhookStatus,
    parse_ticket,
    parse_webhook_status,
)

# Long enough for a change of thousands of tickets, whose answer contains all of them.
_TIMEOUT_SECONDS = 60.0


class SimulatorError(RuntimeError):
    """The simulator refused a call; the message contains its answer."""


class AdminClient:
    """Client of the admin API; a context manager that closes its connections.

    Every method raises SimulatorError if the simulator refuses the call.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        # A proxy from the environment cannot reach this machine's loopback.
        self._session.trust_env = False

    def change(
        self,
        count: int | None = None,
        *,
        ids: Sequence[str] | None = None,
        fields: Mapping[str, Any] | None = None,
        spread_seconds: float = 0.0,
        same_second: bool = False,
        silent: bool = False,
    ) -> list[TrueTicket]:
        """Change `count` random live tickets, or those in `ids`, once each.

        Args:
            count: number of tickets; give this or `ids`.
            ids: tickets to change.
            fields: set on each of them, also for later versions.
            spread_seconds: total time by which the helpdesk's clock advances, step by step. With
                a second or more per ticket, no two changes share a second.
            same_second: give all changes the same time.
            silent: change as the vendor's own system does: the visible modified time stays, and no
                webhook is sent.

        Returns:
            The tickets after the change.
        """
        command = {
            "count": count,
            "ids": None if ids is None else list(ids),
            "fields": None if fields is None else dict(fields),
            "spread_seconds": spread_seconds,
            "same_second": same_second,
            "silent": silent,
        }
        return [parse_ticket(row) for row in self._call("POST", "/admin/change", command)]

    def create(
        self,
        count: int = 1,
        *,
        fields: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[TrueTicket]:
        """Create `count` tickets, or one for each of `ids`.

        Args:
            count: number of tickets; ignored if `ids` are given.
            fields: set on each of them.
            ids: ids for the new tickets.
        """
        command = {
            "count": count,
            "fields": None if fields is None else dict(fields),
            "ids": None if ids is None else list(ids),
        }
        return [parse_ticket(row) for row in self._call("POST", "/admin/create", command)]

    def delete(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        """Delete `count` random live tickets, or those in `ids`; returns their ids."""
        return self._remove("/admin/delete", count, ids)

    def mark_spam(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        """Mark `count` random live tickets, or those in `ids`, as spam; returns their ids."""
        return self._remove("/admin/delete", count, ids, kind="spam")

    def merge(self, ids: Sequence[str], into: str) -> list[str]:
        """Merge tickets into another one, and change that one as well; returns `ids`."""
        merged = self._remove("/admin/delete", None, ids, kind="merged", into=into)
        self.change(ids=[into])
        return merged

    def restore(self, ids: Sequence[str]) -> None:
        """Take removed tickets out of the trash, with their modified time of before."""
        self._call("POST", "/admin/restore", {"ids": list(ids)})

    def hide(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        """Hide `count` random live tickets, or those in `ids`, from the token; returns their ids.

        Only `truth` still shows them.
        """
        return self._remove("/admin/hide", count, ids)

    def show_hidden(self) -> None:
        """Give the token the right to see every ticket again."""
        self._call("DELETE", "/admin/hide")

    def archive(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        """Archive `count` random live tickets, or those in `ids`; returns their ids."""
        return self._remove("/admin/archive", count, ids)

    def accept_token(self, token: str) -> None:
        """Make `token` the valid one, as a person does after the fault `token_ends`."""
        self._call("POST", "/admin/token", {"token": token})

    def _remove(
        self, path: str, count: int | None, ids: Sequence[str] | None, **how: str
    ) -> list[str]:
        command = {"count": count, "ids": None if ids is None else list(ids), **how}
        removed: list[str] = self._call("POST", path, command)["ids"]
        return removed

    def truth(
        self, raw_ticket: bool = False, include_removed: bool = False
    ) -> Iterator[TrueTicket]:
        """Stream every live ticket in order of creation.

        Args:
            raw_ticket: include the raw tickets.
            include_removed: append the removed tickets.
        """
        wanted = {"whole": raw_ticket, "gone": include_removed}
        query = {name: "true" for name, is_wanted in wanted.items() if is_wanted}
        with self._session.get(
            f"{self.base_url}/admin/truth", params=query, stream=True, timeout=_TIMEOUT_SECONDS
        ) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1 << 16):
                yield parse_ticket(json.loads(line))

    def fault(
        self, name: str, *, on: str = "all", count: int = -1, after: int = 0, **params: Any
    ) -> None:
        """Activate a fault.

        Args:
            name: one of `fault_registry.FAULTS`.
            on: one of `fault_registry.ENDPOINTS`, or `all`.
            count: number of calls that show the fault; -1 for all.
            after: number of calls before the first that shows it.
            **params: the fault's parameters, see `fault_registry.FAULTS`.
        """
        scope = {"on": on, "count": count, "after": after}
        # Defaults are left out, since the fault `clock_offset` takes none of these keys.
        given = {k: v for k, v in scope.items() if (k, v) not in _NO_SCOPE}
        self._call("POST", "/admin/faults", {name: {**given, **params}})

    def faults(self) -> dict[str, dict[str, Any]]:
        """Return the active faults with their parameters and remaining calls, by name."""
        active: dict[str, dict[str, Any]] = self._call("GET", "/admin/faults")
        return active

    def clear_faults(self, name: str | None = None) -> None:
        """Deactivate the fault `name`, or all faults."""
        self._call("DELETE", "/admin/faults", query={} if name is None else {"name": name})

    def switch(self, key: str, *, friendly: bool = True) -> None:
        """Choose the answer to one of `unverified.FACTS`; the unfriendly one is the default."""
        self._call("POST", "/admin/facts", {"key": key, "friendly": friendly})

    def friendly(self) -> frozenset[str]:
        """Return the keys of the unverified facts that have the friendly answer."""
        return frozenset(self._call("GET", "/admin/facts")["friendly"])

    def send_webhooks(self, **orders: str | int | bool) -> WebhookStatus:
        """Set some of the webhook options; see `webhook_sender.WebhookOptions`."""
        return parse_webhook_status(self._call("POST", "/admin/deliveries", orders))

    def release_webhooks(self, *, newest_first: bool = False) -> int:
        """Send the held webhooks; returns their number."""
        command = {"newest_first": newest_first}
        return int(self._call("POST", "/admin/deliveries/release", command)["released"])

    def webhook_status(self) -> WebhookStatus:
        """Wait until every webhook is answered or given up, and return the counts."""
        return parse_webhook_status(
            self._call("GET", "/admin/deliveries", query={"settled": "true"})
        )

    def counters(self) -> CallCounts:
        """Return the calls since the last reset."""
        seen = self._call("GET", "/admin/counters")
        return CallCounts(
            seen["calls"], seen["ticketsServed"], seen["bytes"], seen["maxConcurrent"]
        )

    def reset_counters(self) -> None:
        """Set the call counters to zero."""
        self._call("DELETE", "/admin/counters")

    def clock(self) -> ClockState:
        """Return the state of the helpdesk's clock."""
        return self._clock("GET")

    def advance(self, seconds: float) -> ClockState:
        """Move the helpdesk's clock, also while it is frozen."""
        return self._clock("POST", {"advance_seconds": seconds})

    def set_offset(self, seconds: float) -> ClockState:
        """Set the difference of the helpdesk's clock to real time."""
        return self._clock("POST", {"offset_seconds": seconds})

    def freeze(self, at: datetime | None = None) -> ClockState:
        """Stop the helpdesk's clock at `at`, or at its current time; `advance` still moves it."""
        return self._clock("POST", {"freeze": True if at is None else at.isoformat()})

    def thaw(self) -> ClockState:
        """Let the clock continue from the frozen time."""
        return self._clock("POST", {"freeze": False})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _clock(self, method: str, command: Mapping[str, Any] | None = None) -> ClockState:
        state = self._call(method, "/admin/clock", command)
        now = datetime.fromisoformat(state["now"])
        return ClockState(now, state["frozen"], state["offsetSeconds"])

    def _call(
        self,
        method: str,
        path: str,
        command: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        answer = self._session.request(
            method, self.base_url + path, json=command, params=query, timeout=_TIMEOUT_SECONDS
        )
        if not answer.ok:
            raise SimulatorError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


_NO_SCOPE = (("on", "all"), ("count", -1), ("after", 0))
