"""What every call passes, with a dialect of three words behind it."""

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

from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.ticket_factory import Json, Version

GOOD = "good"


class Terse:
    """Says `no` and a number for every refusal, and nothing at all for a 404."""

    def __init__(self) -> None:
        self.token: str | None = GOOD

    def routes(self, gate: Gate) -> Sequence[Route]:
        return []

    def whole(self, version: Version) -> Json:
        return {"id": version.ticket_id}

    def authorize(self, request: Request) -> None:
        if request.headers.get("authorization") != self.token:
            raise Refusal(401, "who are you", {"WWW-Authenticate": "Terse"}, code="STRANGER")

    def revoke(self) -> None:
        self.token = None

    def accept(self, token: str) -> None:
        self.token = token

    def refusal(self, refusal: Refusal) -> Any:
        return None if refusal.status == 404 else {"no": refusal.status, "word": refusal.code}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        return {"Left": f"{allowance.remaining} of {allowance.limit}"}


@pytest.fixture
def desk() -> Desk:
    return Desk(3, seed=1)


@pytest.fixture
def dialect() -> Terse:
    return Terse()


@pytest.fixture
def gate(desk: Desk, dialect: Terse) -> Gate:
    return Gate(desk, dialect)


def call(
    gate: Gate,
    build: Callable[[Request], Answer] = lambda _: Answer({"said": "yes"}, tickets=2),
    *,
    name: str = "search",
    token: str | None = GOOD,
    body: bytes = b"",
    open_to_all: bool = False,
) -> Response:
    headers = [] if token is None else [(b"authorization", token.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    endpoint = gate.endpoint(name, build, open_to_all=open_to_all)

    async def answered() -> Response:
        return await endpoint(Request(scope, receive))

    return asyncio.run(answered())


def said(response: Response) -> Any:
    return json.loads(bytes(response.body))


def test_an_answer_goes_out_with_its_status_and_headers(gate: Gate, desk: Desk) -> None:
    answer = Answer([{"id": 1}], tickets=1, status=206, headers={"Link": "next"})
    response = call(gate, lambda _: answer)
    assert (response.status_code, said(response)) == (206, [{"id": 1}])
    assert response.headers["Link"] == "next"
    told = desk.counters.describe()
    assert (told["calls"], told["ticketsServed"]) == ({"search": {"206": 1}}, 1)


def test_nothing_to_say_is_an_empty_body(gate: Gate) -> None:
    response = call(gate, lambda _: Answer(None, status=204))
    assert (response.status_code, response.body) == (204, b"")


def test_the_body_of_a_call_is_there_for_the_dialect(gate: Gate) -> None:
    response = call(gate, lambda r: Answer({"got": r.state.body.decode()}), body=b"a=1&b=2")
    assert said(response) == {"got": "a=1&b=2"}


def test_a_refusal_is_in_the_dialects_words(gate: Gate, desk: Desk) -> None:
    response = call(gate, token="wrong")
    assert (response.status_code, said(response)) == (401, {"no": 401, "word": "STRANGER"})
    assert response.headers["WWW-Authenticate"] == "Terse"
    assert desk.counters.describe()["calls"] == {"search": {"401": 1}}


def test_a_refusal_may_have_no_body(gate: Gate) -> None:
    def refuse(_: Request) -> Answer:
        raise Refusal(404, "no such thing")

    response = call(gate, refuse)
    assert (response.status_code, response.body) == (404, b"")


def test_a_token_ends_at_the_call_that_the_fault_names(gate: Gate, desk: Desk) -> None:
    desk.faults.switch_on({"token_ends": {"on": "search", "after": 1, "count": 1}})
    statuses = [call(gate, name=name).status_code for name in ("ticket", "search", "search")]
    assert statuses == [200, 200, 401]
    assert call(gate).status_code == 401


def test_a_token_that_ended_stays_so_until_there_is_another(
    gate: Gate, desk: Desk, dialect: Terse
) -> None:
    desk.faults.switch_on({"token_ends": {}})
    assert call(gate).status_code == 401
    desk.faults.clear()
    assert call(gate).status_code == 401
    dialect.accept("newer")
    assert call(gate).status_code == 401
    assert call(gate, token="newer").status_code == 200


def test_where_tokens_are_issued_none_is_asked_for_and_none_ends(gate: Gate, desk: Desk) -> None:
    desk.faults.switch_on({"token_ends": {}, "error_500": {"on": "login", "count": 1}})
    assert call(gate, name="login", token=None, open_to_all=True).status_code == 500
    assert call(gate, name="login", token=None, open_to_all=True).status_code == 200
    assert "token_ends" in desk.faults.describe()
    assert call(gate).status_code == 401


def test_what_is_left_is_told_by_the_dialect_on_answers_and_refusals(
    gate: Gate, desk: Desk
) -> None:
    assert "Left" not in call(gate).headers
    desk.faults.switch_on({"rate_limit": {"calls": 2, "window_seconds": 60.0}})
    answers = [call(gate) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers.get("Left") for answer in answers[:2]] == ["1 of 2", "0 of 2"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
