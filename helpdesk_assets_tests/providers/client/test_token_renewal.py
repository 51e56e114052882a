"""Tokens that end early are renewed, from another process too, and none is ever shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.client.oauth import IssuedToken, OAuthLogin, TokenEndpoint
from helpdesk_assets.providers.client.token_cache import TokenCache
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback

HOOK_PATH = "/slow"


class PlainLogin(OAuthLogin):
    """Requests a token without more ado."""

    credentials = ("cl1ent-s3cret",)

    def _request_token(self) -> IssuedToken:
        reply = self._post(form={})
        return IssuedToken(reply.token or "", 1800.0)


class RevokingHelpdesk:
    """Issues tokens by number and takes all that are not revoked."""

    def __init__(self) -> None:
        self.issued = 0
        self.revoked: set[int] = set()
        self.calls: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self, seen: ReceivedRequest) -> CannedResponse:
        if seen.method == "POST":
            self.issued += 1
            return CannedResponse(json.dumps({"access_token": f"t0ken-{self.issued}"}).encode())
        token = (seen.authorization or "").removeprefix("Bearer ")
        number = int(token.removeprefix("t0ken-"))
        self.calls.append(number)
        if seen.path == HOOK_PATH:
            self.meanwhile()
            return CannedResponse(f"no right for {token}".encode(), 400)
        is_revoked = number in self.revoked
        return CannedResponse(token.encode(), 401 if is_revoked else 200)


MakeProcess = Callable[[], tuple[Api, PlainLogin]]


@pytest.fixture
def helpdesk() -> RevokingHelpdesk:
    return RevokingHelpdesk()


@pytest.fixture
def make_process(helpdesk: RevokingHelpdesk, tmp_path: Path) -> Iterator[MakeProcess]:
    """Makes what one process has; all share the cache."""
    with loopback(helpdesk) as server:
        made: list[Api | PlainLogin] = []

        def make() -> tuple[Api, PlainLogin]:
            login = PlainLogin(
                TokenEndpoint(server.url, "/token", "HELPDESK_BASE_URL"),
                TokenCache(tmp_path, "one client"),
                usage_counter=UsageCounter(),
                timeout=3,
            )
            api = Api(server.url, login, timeout=3, connections=1)
            made.extend((api, login))
            return api, login

        yield make
        for one in made:
            one.close()


def test_revoked_token_of_another_process_is_renewed(
    helpdesk: RevokingHelpdesk, make_process: MakeProcess
) -> None:
    (first, _), (second, _) = make_process(), make_process()
    first.get("/x")
    helpdesk.revoked = {1}
    second.get("/x")
    helpdesk.revoked = {1, 2}
    assert first.get("/x").status == 200
    assert helpdesk.calls == [1, 1, 2, 1, 2, 3]


@pytest.mark.parametrize("others", [0, 1])
def test_new_token_that_is_refused_is_the_last(
    helpdesk: RevokingHelpdesk, make_process: MakeProcess, others: int
) -> None:
    """Vendors limit how many tokens they issue."""
    (first, _), (second, _) = make_process(), make_process()
    first.get("/x")
    for _ in range(others):
        helpdesk.revoked.add(helpdesk.issued)
        second.get("/x")
    helpdesk.revoked = set(range(99))
    issued = helpdesk.issued
    with pytest.raises(CredentialsRefused):
        first.get("/x")
    assert helpdesk.issued == issued + 1
    # The next call is no second rejection, so it may ask for another one.
    helpdesk.revoked = {*range(issued + 2)}
    assert first.get("/x").status == 200


@pytest.mark.parametrize("renewals", [1, 2, 3])
def test_token_is_masked_after_other_threads_renewed_it(
    helpdesk: RevokingHelpdesk, make_process: MakeProcess, renewals: int
) -> None:
    api, login = make_process()

    def renew() -> None:
        for number in range(1, renewals + 1):
            login.renew(f"Bearer t0ken-{number}")

    helpdesk.meanwhile = renew
    with pytest.raises(EndpointFailed, match="no right for") as failure:
        api.get(HOOK_PATH)
    assert helpdesk.issued == renewals + 1
    assert "t0ken-" not in str(failure.value)
    assert {f"t0ken-{number}" for number in range(1, renewals + 2)} < set(login.secrets)
