"""A typed client for the simulator's admin side, in this process or another.

Needs requests only: the demo and the tests import it where no server is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import requests

# A change of thousands of tickets answers with all of them; anything slower than this hangs.
_TIMEOUT_SECONDS = 60.0


class SimulatorError(RuntimeError):
    """The simulator did not do what it was told; the message is its own."""


@dataclass(frozen=True, slots=True)
class TrueTicket:
    """A ticket as the helpdesk itself knows it. `raw_ticket` is None where it was not asked for.

    `removal_kind` is how it has left (`deleted`, `spam` or `merged`), and `removed_at` when.
    """

    ticket_id: str
    created_time: datetime
    modified_time: datetime
    raw_ticket: dict[str, Any] | None = None
    removal_kind: str | None = None
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallCounts:
    """What the production endpoints were asked. `calls`: endpoint, then status (or `dropped`)."""

    calls: Mapping[str, Mapping[str, int]]
    tickets_served: int
    bytes: int
    max_concurrent: int

    def of(self, endpoint: str) -> int:
        """Calls of one endpoint (`search`, `listing`, `ticket`), whatever their status."""
        return sum(self.calls.get(endpoint, {}).values())

    @property
    def total(self) -> int:
        return sum(map(self.of, self.calls))


@dataclass(frozen=True, slots=True)
class ClockState:
    now: datetime
    frozen: bool
    offset_seconds: float


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """What became of the webhooks. `answers` by status, `failed` where there was none; `lost` and
    `held` as ticket and modified time."""

    pending: int
    answers: Mapping[str, int]
    lost: tuple[tuple[str, datetime], ...]
    held: tuple[tuple[str, datetime], ...]


class AdminClient:
    """Everything a test does to the helpdesk behind the product's back."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        # A proxy of the environment has no way to this machine's loopback.
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
        """Change `count` random tickets, or those of `ids`, once each.

        Args:
            count: how many; say this or `ids`.
            ids: which.
            fields: set on each of them, for good.
            spread_seconds: the helpdesk's clock moves on by this in all, step by step; with a
                second or more per ticket, no two share theirs.
            same_second: date them all alike.
            silent: as by the vendor's own system, which leaves the modified time that is shown.
        """
        command = {
            "count": count,
            "ids": None if ids is None else list(ids),
            "fields": None if fields is None else dict(fields),
            "spread_seconds": spread_seconds,
            "same_second": same_second,
            "silent": silent,
        }
        return [_ticket(row) for row in self._call("POST", "/admin/change", command)]

    def create(
        self,
        count: int = 1,
        *,
        fields: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[TrueTicket]:
        """Make `count` tickets, or one for each of `ids`."""
        command = {
            "count": count,
            "fields": None if fields is None else dict(fields),
            "ids": None if ids is None else list(ids),
        }
        return [_ticket(row) for row in self._call("POST", "/admin/create", command)]

    def delete(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        """Delete `count` random tickets, or those of `ids`; answers with their ids."""
        return self._remove("/admin/delete", count, ids)

    def mark_spam(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        return self._remove("/admin/delete", count, ids, kind="spam")

    def merge(self, ids: Sequence[str], into: str) -> list[str]:
        """Merge tickets into another one, which is changed by that."""
        merged = self._remove("/admin/delete", None, ids, kind="merged", into=into)
        self.change(ids=[into])
        return merged

    def archive(self, count: int | None = None, *, ids: Sequence[str] | None = None) -> list[str]:
        return self._remove("/admin/archive", count, ids)

    def accept_token(self, token: str) -> None:
        """Make this the token that production calls must carry, as a person does after another has
        ended (the fault `token_ends`)."""
        self._call("POST", "/admin/token", {"token": token})

    def _remove(
        self, path: str, count: int | None, ids: Sequence[str] | None, **how: str
    ) -> list[str]:
        command = {"count": count, "ids": None if ids is None else list(ids), **how}
        left: list[str] = self._call("POST", path, command)["ids"]
        return left

    def truth(
        self, raw_ticket: bool = False, include_removed: bool = False
    ) -> Iterator[TrueTicket]:
        """Every living ticket, as a stream in the order they were made; with `gone`, then those
        that have left."""
        wanted = {"whole": raw_ticket, "gone": include_removed}
        query = {name: "true" for name, is_wanted in wanted.items() if is_wanted}
        with self._session.get(
            f"{self.base_url}/admin/truth", params=query, stream=True, timeout=_TIMEOUT_SECONDS
        ) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1 << 16):
                yield _ticket(json.loads(line))

    def fault(
        self, name: str, *, on: str = "all", count: int = -1, after: int = 0, **params: Any
    ) -> None:
        """Switch a fault on; `faults.KNOWN` lists them with their parameters.

        Args:
            name: which fault.
            on: one of `faults.ENDPOINTS`, or `all`.
            count: how many calls show it; -1 for all.
            after: how many calls pass unharmed first.
            **params: the fault's own.
        """
        scope = {"on": on, "count": count, "after": after}
        # Sent only where they say something: the clock's fault has no scope to give.
        given = {k: v for k, v in scope.items() if (k, v) not in _NO_SCOPE}
        self._call("POST", "/admin/faults", {name: {**given, **params}})

    def faults(self) -> dict[str, dict[str, Any]]:
        """The faults in force, with the calls they have left."""
        active: dict[str, dict[str, Any]] = self._call("GET", "/admin/faults")
        return active

    def clear_faults(self, name: str | None = None) -> None:
        self._call("DELETE", "/admin/faults", query={} if name is None else {"name": name})

    def send_webhooks(self, **orders: str | int | bool) -> WebhookStatus:
        """Say where webhooks go (`url`, `secret`), or what shall become of the next ones (`lose`,
        `hold`, `double`, `hint`, `tries`); see `webhook_sender.WebhookOptions`."""
        return _webhook_status(self._call("POST", "/admin/deliveries", orders))

    def release_webhooks(self, *, newest_first: bool = False) -> int:
        """Send those that were held; how many there were."""
        command = {"newest_first": newest_first}
        return int(self._call("POST", "/admin/deliveries/release", command)["released"])

    def webhook_status(self) -> WebhookStatus:
        """What became of the webhooks, once every one has been answered or given up."""
        return _webhook_status(self._call("GET", "/admin/deliveries", query={"settled": "true"}))

    def counters(self) -> CallCounts:
        seen = self._call("GET", "/admin/counters")
        return CallCounts(
            seen["calls"], seen["ticketsServed"], seen["bytes"], seen["maxConcurrent"]
        )

    def reset_counters(self) -> None:
        self._call("DELETE", "/admin/counters")

    def clock(self) -> ClockState:
        return self._clock("GET")

    def advance(self, seconds: float) -> ClockState:
        return self._clock("POST", {"advance_seconds": seconds})

    def set_offset(self, seconds: float) -> ClockState:
        """Put the helpdesk's clock this far from real time."""
        return self._clock("POST", {"offset_seconds": seconds})

    def freeze(self, at: datetime | None = None) -> ClockState:
        """Stop the helpdesk's clock, now or at a given moment; `advance` still moves it."""
        return self._clock("POST", {"freeze": True if at is None else at.isoformat()})

    def thaw(self) -> ClockState:
        """Let the clock run on from where it stands."""
        return self._clock("POST", {"freeze": False})

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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


def _webhook_status(seen: Mapping[str, Any]) -> WebhookStatus:
    lost, held = (
        tuple((row["id"], datetime.fromisoformat(row["modifiedTime"])) for row in seen[name])
        for name in ("lost", "held")
    )
    return WebhookStatus(seen["pending"], seen["answers"], lost, held)


def _ticket(row: Mapping[str, Any]) -> TrueTicket:
    removal = row.get("end")
    return TrueTicket(
        row["id"],
        datetime.fromisoformat(row["createdTime"]),
        datetime.fromisoformat(row["modifiedTime"]),
        row.get("ticket"),
        removal["kind"] if removal else None,
        datetime.fromisoformat(removal["at"]) if removal else None,
    )
