"""The admin API, by which tests and the demo change tickets, set faults and read the true state.

It has no authentication and is meant for loopback only. Real helpdesks have no such API, so
production code must not call it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.middleware import Dialect
from helpdesk_assets.local.simulator.response_faults import JsonResponse
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion
from helpdesk_assets.local.simulator.webhook_sender import WebhookSender

# Rows per chunk of `/admin/truth`: large enough to be fast, small enough to let in other calls.
_TRUTH_CHUNK_SIZE = 200
# Interval of checks whether all webhooks are sent: the sender's threads cannot notify the loop.
_POLL_SECONDS = 0.01

Handler = Callable[[Request], Awaitable[Response]]


class InvalidCommand(ValueError):
    """An admin call is invalid; the message is the answer to the client."""


class AdminApi:
    """Admin endpoints over one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, dialect: Dialect) -> None:
        self._backend = backend
        self._dialect = dialect
        self.webhook_sender = WebhookSender(dialect.raw_ticket)
        backend.listeners.append(self.webhook_sender.on_change)

    def routes(self) -> list[Route]:
        """Return the endpoints, for `AdminClient`."""
        return [
            Route("/healthz", _json_endpoint(self._health), methods=["GET"]),
            Route("/admin/truth", self._truth, methods=["GET"]),
            Route("/admin/change", _json_endpoint(self._change), methods=["POST"]),
            Route("/admin/create", _json_endpoint(self._create), methods=["POST"]),
            Route("/admin/delete", _json_endpoint(self._delete), methods=["POST"]),
            Route("/admin/restore", _json_endpoint(self._restore), methods=["POST"]),
            Route("/admin/hide", _json_endpoint(self._hide), methods=["POST", "DELETE"]),
            Route("/admin/archive", _json_endpoint(self._archive), methods=["POST"]),
            Route("/admin/token", _json_endpoint(self._token), methods=["POST"]),
            Route("/admin/clock", _json_endpoint(self._clock), methods=["GET", "POST"]),
            Route("/admin/facts", _json_endpoint(self._facts), methods=["GET", "POST"]),
            Route("/admin/faults", _json_endpoint(self._faults), methods=["GET", "POST", "DELETE"]),
            Route("/admin/deliveries", _json_endpoint(self._deliver), methods=["GET", "POST"]),
            Route("/admin/deliveries/release", _json_endpoint(self._release), methods=["POST"]),
            Route("/admin/counters", _json_endpoint(self._counters), methods=["GET", "DELETE"]),
        ]

    async def _health(self, _request: Request) -> Json:
        return {"status": "ok", "tickets": len(self._backend.store)}

    async def _truth(self, request: Request) -> Response:
        query = request.query_params
        stores = [
            self._backend.store,
            self._backend.hidden,
            *([self._backend.removed] if query.get("gone") == "true" else []),
        ]
        ids = [each for store in stores for each in store.ids()]
        lines = self._truth_lines(ids, with_raw_ticket=query.get("whole") == "true")
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def _truth_lines(self, ids: list[str], *, with_raw_ticket: bool) -> AsyncIterator[bytes]:
        for start in range(0, len(ids), _TRUTH_CHUNK_SIZE):
            versions = (self._known(each) for each in ids[start : start + _TRUTH_CHUNK_SIZE])
            rows = (
                self._row(version, with_raw_ticket) for version in versions if version is not None
            )
            yield "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()

    def _known(self, ticket_id: str) -> TicketVersion | None:
        return self._backend.find(ticket_id) or self._backend.hidden.get(ticket_id)

    def _row(self, version: TicketVersion, with_raw_ticket: bool = True) -> Json:
        row: Json = {
            "id": version.ticket_id,
            "createdTime": to_text(version.created),
            "modifiedTime": to_text(version.visible_modified),
        }
        if removal := self._backend.removals.get(version.ticket_id):
            row["end"] = {"kind": removal.kind, "at": to_text(removal.at), "into": removal.into}
        if with_raw_ticket:
            row["ticket"] = self._dialect.raw_ticket(version)
        return row

    async def _change(self, request: Request) -> list[Json]:
        command = await _read_command(
            request,
            {
                "count": int,
                "ids": list,
                "fields": dict,
                "spread_seconds": float,
                "same_second": bool,
                "silent": bool,
            },
        )
        ids = self._requested_ids(command)
        spread, same_second = command.get("spread_seconds", 0.0), command.get("same_second", False)
        if spread < 0 or (spread and same_second):
            raise InvalidCommand("spread_seconds must not be negative or combined with same_second")
        versions = self._backend.change(
            ids, command.get("fields"), spread, same_second, command.get("silent", False)
        )
        return [self._row(version) for version in versions]

    async def _create(self, request: Request) -> list[Json]:
        command = await _read_command(request, {"count": int, "fields": dict, "ids": list})
        versions = self._backend.create(
            command.get("count", 1), command.get("fields"), command.get("ids")
        )
        return [self._row(version) for version in versions]

    async def _delete(self, request: Request) -> Json:
        command = await _read_command(
            request, {"count": int, "ids": list, "kind": str, "into": str}
        )
        ids, into = self._requested_ids(command), command.get("into")
        kind = RemovalKind(command.get("kind", RemovalKind.DELETED))
        if (kind is RemovalKind.MERGED) != (into is not None) or into in ids:
            raise InvalidCommand(
                "into must name another ticket for kind merged, and be absent for others"
            )
        self._backend.remove(ids, kind, into)
        return {"ids": ids}

    async def _restore(self, request: Request) -> Json:
        ids = (await _read_command(request, {"ids": list})).get("ids", [])
        unknown = [each for each in ids if each not in self._backend.removals]
        if unknown or len(set(ids)) != len(ids):
            raise InvalidCommand(f"not removed or repeated in ids: {', '.join(unknown[:5])}")
        self._backend.restore(ids)
        return {"ids": ids}

    async def _hide(self, request: Request) -> Json:
        if request.method == "DELETE":
            self._backend.show()
            return {}
        ids = self._requested_ids(await _read_command(request, {"count": int, "ids": list}))
        self._backend.hide(ids)
        return {"ids": ids}

    async def _archive(self, request: Request) -> Json:
        ids = self._requested_ids(await _read_command(request, {"count": int, "ids": list}))
        self._backend.archive(ids)
        return {"ids": ids}

    async def _token(self, request: Request) -> Json:
        command = await _read_command(request, {"token": str})
        if not command.get("token"):
            raise InvalidCommand("token must not be empty")
        self._dialect.accept(command["token"])
        return {}

    def _requested_ids(self, command: Json) -> list[str]:
        if ("ids" in command) == ("count" in command):
            raise InvalidCommand("give either ids or count")
        if "count" in command:
            return self._backend.choose(command["count"])
        ids: list[str] = command["ids"]
        unknown = [each for each in ids if self._backend.store.get(each) is None]
        if unknown or len(set(ids)) != len(ids):
            raise InvalidCommand(f"unknown or repeated tickets in ids: {', '.join(unknown[:5])}")
        return ids

    async def _clock(self, request: Request) -> Json:
        clock = self._backend.clock
        if request.method == "POST":
            command = await _read_command(
                request, {"advance_seconds": float, "offset_seconds": float, "freeze": (bool, str)}
            )
            if "offset_seconds" in command:
                clock.set_offset(timedelta(seconds=command["offset_seconds"]))
            if "advance_seconds" in command:
                clock.advance(timedelta(seconds=command["advance_seconds"]))
            self._freeze(command.get("freeze"))
        return {
            "now": to_text(clock.tick()),
            "frozen": clock.is_frozen,
            "offsetSeconds": clock.offset.total_seconds(),
        }

    def _freeze(self, value: bool | str | None) -> None:
        if value is False:
            self._backend.clock.thaw()
        elif value is True:
            self._backend.clock.freeze()
        elif value is not None:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise InvalidCommand(f"freeze must be a time with a UTC offset, not {value!r}")
            self._backend.clock.freeze(moment.astimezone(UTC))

    async def _facts(self, request: Request) -> Json:
        """Switch an unverified fact, or tell which ones have the friendly answer."""
        if request.method == "POST":
            command = await _read_command(request, {"key": str, "friendly": bool})
            if command.keys() != {"key", "friendly"}:
                raise InvalidCommand("give key and friendly")
            self._backend.facts.switch(command["key"], friendly=command["friendly"])
        return {"friendly": self._backend.facts.friendly()}

    async def _faults(self, request: Request) -> Json:
        faults = self._backend.faults
        if request.method == "POST":
            faults.activate(await _body(request))
        elif request.method == "DELETE":
            faults.clear(request.query_params.get("name"))
        self._backend.apply_clock_fault()
        return faults.describe()

    async def _deliver(self, request: Request) -> Json:
        """Set the webhook options, or report the webhooks; with `settled`, once all are sent."""
        if request.method == "POST":
            known = {"url": str, "secret": str, "hint": bool, "tries": int}
            known |= {"lose": int, "hold": int, "double": int}
            self.webhook_sender.configure(await _read_command(request, known))
        while request.query_params.get("settled") == "true" and not self.webhook_sender.is_settled:
            await asyncio.sleep(_POLL_SECONDS)
        return self.webhook_sender.describe()

    async def _release(self, request: Request) -> Json:
        command = await _read_command(request, {"newest_first": bool})
        return {
            "released": self.webhook_sender.release(newest_first=command.get("newest_first", False))
        }

    async def _counters(self, request: Request) -> Json:
        if request.method == "DELETE":
            self._backend.counters.reset()
        return self._backend.counters.describe()


def _json_endpoint(handle: Callable[[Request], Awaitable[Json | list[Json]]]) -> Handler:
    """Wrap a handler: its value becomes JSON, and a ValueError (also invalid JSON) a 400."""

    async def serve(request: Request) -> Response:
        try:
            return JsonResponse(await handle(request))
        except ValueError as error:
            return JsonResponse({"errorCode": 400, "message": str(error)}, 400)

    return serve


async def _body(request: Request) -> Json:
    body = await request.body()
    command = json.loads(body) if body else {}
    if not isinstance(command, dict):
        raise InvalidCommand("the body must be a JSON object")
    return command


async def _read_command(request: Request, known: dict[str, Any]) -> Json:
    """Return the body's keys that are not null, after checking names and types."""
    command = {key: value for key, value in (await _body(request)).items() if value is not None}
    for key, value in command.items():
        if key not in known:
            raise InvalidCommand(f"unknown key {key!r}; use {', '.join(known)}")
        kind = (int, float) if known[key] is float else known[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, (int, float))):
            raise InvalidCommand(f"{key} has the wrong type: {value!r}")
    return command
