"""The simulated token endpoint of Zendesk, without the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zendesk_tokens import CLIENT_ID
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

EXPORT = "/api/v2/incremental/tickets/cursor.json?start_time=0"
LIST = "/api/v2/tickets.json"


class TokenCaller:
    def __init__(self, simulator: SimulatedHelpdesk) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False

    def request(self, **more: Any) -> requests.Response:
        body = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": self.simulator.token,
            "scope": "read",
            **more,
        }
        body = {key: value for key, value in body.items() if value is not None}
        url = f"{self.simulator.base_url}/oauth/tokens"
        return self.session.post(url, json=body, timeout=10)

    def token(self, **more: Any) -> str:
        return str(self.request(**more).json()["access_token"])

    def get(self, path: str, token: str) -> requests.Response:
        url, headers = self.simulator.base_url + path, {"Authorization": f"Bearer {token}"}
        return self.session.get(url, headers=headers, timeout=10)


@pytest.fixture
def token_caller() -> Iterator[TokenCaller]:
    with SimulatedHelpdesk(tickets=5, frozen=True, dialect="zendesk") as simulator:
        simulator.advance(1000)
        caller = TokenCaller(simulator)
        with caller.session:
            yield caller


@pytest.mark.parametrize(("friendly", "status"), [(False, 201), (True, 200)])
def test_token_of_a_client(token_caller: TokenCaller, friendly: bool, status: int) -> None:
    token_caller.simulator.switch("zendesk.token_answer_is_200", friendly=friendly)
    answer = token_caller.request()
    body = answer.json()
    token = body.pop("access_token")
    assert (answer.status_code, body) == (
        status,
        {"token_type": "bearer", "scope": "read", "expires_in": 1800},
    )
    assert token_caller.get(EXPORT, token).status_code == 200


def test_token_ends_after_its_lifetime(token_caller: TokenCaller) -> None:
    tokens = [token_caller.token(), token_caller.token(expires_in=172_799)]
    token_caller.simulator.advance(1799)
    assert [token_caller.get(LIST, token).status_code for token in tokens] == [200, 200]
    token_caller.simulator.advance(1)
    first, second = (token_caller.get(LIST, token) for token in tokens)
    assert (first.status_code, first.json()["error"]) == (401, "invalid_token")
    assert second.status_code == 200


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({"client_id": 42}, 401, "invalid_client"),
        ({"client_id": "42"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "read write"}, 400, "invalid_scope"),
        ({"expires_in": 300}, 400, "invalid_request"),
        ({"expires_in": 172_800}, 400, "invalid_request"),
        ({"expires_in": "1800"}, 400, "invalid_request"),
        ({"subdomain": "example"}, 400, "invalid_request"),
    ],
)
def test_refused_token_requests(
    token_caller: TokenCaller, more: dict[str, Any], status: int, error: str
) -> None:
    refused = token_caller.request(**more)
    assert (refused.status_code, refused.json()["error"]) == (status, error)


def test_form_is_no_token_request(token_caller: TokenCaller) -> None:
    url = f"{token_caller.simulator.base_url}/oauth/tokens"
    assert token_caller.session.post(url, data={"a": "b"}, timeout=10).status_code == 400


@pytest.mark.parametrize("scope", [["read"], "reed", None, "tickets:read"])
def test_token_without_the_scope_is_refused_later(token_caller: TokenCaller, scope: Any) -> None:
    """An array of scopes, and unknown names, give a token that is good for nothing."""
    answer = token_caller.request(scope=scope)
    assert answer.status_code == 201
    assert "read" not in answer.json()["scope"].split()
    refused = token_caller.get(LIST, answer.json()["access_token"])
    assert refused.status_code == 403
    assert refused.json()["description"].endswith("required scopes: read")


def test_client_of_an_agent_may_not_export(token_caller: TokenCaller) -> None:
    token = token_caller.token(client_secret=TOKEN_WITHOUT_RIGHTS)
    refused = token_caller.get(EXPORT, token)
    assert (refused.status_code, refused.json()["error"]["title"]) == (403, "Forbidden")
    assert token_caller.get(LIST, token).status_code == 200


def test_new_secret_ends_the_old_and_its_tokens(token_caller: TokenCaller) -> None:
    old, token = token_caller.simulator.token, token_caller.token()
    token_caller.simulator.accept_token("another")
    assert token_caller.get(LIST, token).status_code == 401
    assert token_caller.request(client_secret=old).status_code == 401
    assert token_caller.get(LIST, token_caller.token()).status_code == 200
