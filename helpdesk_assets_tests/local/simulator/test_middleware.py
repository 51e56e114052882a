"""The handling of calls that all vendors share, with a minimal dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

GOOD = "good"


class Terse:
    """Answers errors with `no` and a number, and a 404 with an empty body."""

    def __init__(self) -> None:
        self.token: str | None = GOOD

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        return []

    def raw_ticket(self, version: TicketVersion) -> Json:
        return {"id": version.ticket_id}

    def authorize(self, request: Request) -> None:
        if request.headers.get("authorization") != self.token:
            raise ApiError(401, "who are you", {"WWW-Authenticate": "Terse"}, code="STRANGER")

    def revoke(self) -> None:
        self.token = None

    def accept(self, token: str) -> None:
        self.token = token

    def api_error(self, api_error: ApiError) -> Any:
        return None if api_error.status == 404 else {"no": api_error.status, "word": api_error.code}

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        return {"Left": f"{rate_limit_status.remaining} of {rate_limit_status.limit}"}


@pytest.fixture
def helpdesk() -> HelpdeskBackend:
    return HelpdeskBackend(3, seed=1)


@pytest.fixture
def dialect() -> Terse:
    return Terse()


@pytest.fixture
def middleware(helpdesk: HelpdeskBackend, dialect: Terse) -> CallMiddleware:
    return CallMiddleware(helpdesk, dialect)


def call(
    middleware: CallMiddleware,
    handler: Callable[[Request], EndpointResult] = lambda _: EndpointResult(
        {"said": "yes"}, tickets=2
    ),
    *,
    name: str = "search",
    token: str | None = GOOD,
    body: bytes = b"",
    public: bool = False,
) -> Response:
    headers = [] if token is None else [(b"authorization", token.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    endpoint = middleware.endpoint(name, handler, public=public)

    async def answered() -> Response:
        return await endpoint(Request(scope, receive))

    return asyncio.run(answered())


def said(response: Response) -> Any:
    return json.loads(bytes(response.body))


def test_response_keeps_its_status_and_headers(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend
) -> None:
    answer = EndpointResult([{"id": 1}], tickets=1, status=206, headers={"Link": "next"})
    response = call(middleware, lambda _: answer)
    assert (response.status_code, said(response)) == (206, [{"id": 1}])
    assert response.headers["Link"] == "next"
    described = helpdesk.counters.describe()
    assert (described["calls"], described["ticketsServed"]) == ({"search": {"206": 1}}, 1)


def test_empty_response_has_an_empty_body(middleware: CallMiddleware) -> None:
    response = call(middleware, lambda _: EndpointResult(None, status=204))
    assert (response.status_code, response.body) == (204, b"")


def test_request_body_reaches_the_dialect(middleware: CallMiddleware) -> None:
    response = call(
        middleware, lambda r: EndpointResult({"got": r.state.body.decode()}), body=b"a=1&b=2"
    )
    assert said(response) == {"got": "a=1&b=2"}


def test_rejection_uses_the_dialects_format(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend
) -> None:
    response = call(middleware, token="wrong")
    assert (response.status_code, said(response)) == (401, {"no": 401, "word": "STRANGER"})
    assert response.headers["WWW-Authenticate"] == "Terse"
    assert helpdesk.counters.describe()["calls"] == {"search": {"401": 1}}


def test_rejection_may_have_no_body(middleware: CallMiddleware) -> None:
    def refuse(_: Request) -> EndpointResult:
        raise ApiError(404, "no such thing")

    response = call(middleware, refuse)
    assert (response.status_code, response.body) == (404, b"")


def test_token_expires_at_the_call_named_by_the_fault(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend
) -> None:
    helpdesk.faults.activate({"token_ends": {"on": "search", "after": 1, "count": 1}})
    statuses = [call(middleware, name=name).status_code for name in ("ticket", "search", "search")]
    assert statuses == [200, 200, 401]
    assert call(middleware).status_code == 401


def test_expired_token_stays_so_until_replaced(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend, dialect: Terse
) -> None:
    helpdesk.faults.activate({"token_ends": {}})
    assert call(middleware).status_code == 401
    helpdesk.faults.clear()
    assert call(middleware).status_code == 401
    dialect.accept("newer")
    assert call(middleware).status_code == 401
    assert call(middleware, token="newer").status_code == 200


def test_token_endpoint_requires_no_token(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend
) -> None:
    helpdesk.faults.activate({"token_ends": {}, "error_500": {"on": "login", "count": 1}})
    assert call(middleware, name="login", token=None, public=True).status_code == 500
    assert call(middleware, name="login", token=None, public=True).status_code == 200
    assert "token_ends" in helpdesk.faults.describe()
    assert call(middleware).status_code == 401


def test_dialect_adds_rate_limit_headers_to_every_response(
    middleware: CallMiddleware, helpdesk: HelpdeskBackend
) -> None:
    assert "Left" not in call(middleware).headers
    helpdesk.faults.activate({"rate_limit": {"calls": 2, "window_seconds": 60.0}})
    answers = [call(middleware) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers.get("Left") for answer in answers[:2]] == ["1 of 2", "0 of 2"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
