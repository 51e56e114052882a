"""Zendesk's error answers: its words reach the message, and each kind does what it should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, TicketForbidden
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.zendesk.login import ConnectClient
from helpdesk_assets_tests.providers.zendesk.test_timeouts import BY_TOKEN


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"Forbidden","description":"missing the scopes: read"}', "missing the scopes"),
        (b'{"error":{"title":"Forbidden","message":"Account suspended"}}', "Account suspended"),
        (b'{"errors":[{"code":"IpRestricted","detail":"address"}]}', "IpRestricted"),
        (b"Access from this address is not allowed: t0ken", "not allowed: ***"),
        (b"<html>maintenance</html>", "maintenance"),
        (b"", "to GET /incremental/tickets/cursor.json. "),
    ],
)
def test_refusal_tells_what_zendesk_says(
    connect_oauth: ConnectClient, status: int, body: bytes, words: str
) -> None:
    with loopback(lambda _: CannedResponse(body, status)) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        with pytest.raises(CredentialsRefused) as caught:
            list(helpdesk.changes(None))
    assert words in str(caught.value)
    assert "t0ken" not in str(caught.value)
    # A 403 that is not JSON may be a firewall's: then no account is to blame.
    is_own = status == 401 or not body or body.startswith(b"{")
    assert ("HELPDESK_API_TOKEN" if is_own else "HELPDESK_BASE_URL") in str(caught.value)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("user", "advice"),
    [
        ("", "set a valid HELPDESK_API_TOKEN, or"),
        ("ann@example.com", "check HELPDESK_USER and HELPDESK_API_TOKEN, or"),
    ],
)
def test_refused_login_names_every_setting_of_it(
    connect_oauth: ConnectClient, user: str, advice: str
) -> None:
    with loopback(lambda _: CannedResponse(b"{}", 401)) as server:
        given = {**BY_TOKEN, "helpdesk_user": user, "helpdesk_base_url": server.url}
        with pytest.raises(CredentialsRefused, match=advice):
            list(connect_oauth(**given).changes(None))


def test_conflict_is_tried_again(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, waits: list[float]
) -> None:
    zendesk.fault("error_500", on="search", status=409, count=2)
    assert list(connect_oauth().changes(None))
    assert waits == [10.5, 10.5]


@pytest.mark.parametrize("status", [500, 502, 503, 520])
def test_other_server_errors_keep_the_page_size(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, status: int
) -> None:
    zendesk.fault("error_500", on="search", status=status, count=2)
    (page,) = connect_oauth().changes(None)
    assert len(page.tickets) == 120


@pytest.mark.parametrize("error", ["InvalidEndpoint", {"title": "InvalidEndpoint"}])
def test_endpoint_missing_in_the_plan_deletes_no_ticket(
    connect_oauth: ConnectClient, error: Any
) -> None:
    body = json.dumps({"error": error, "description": "Not found"}).encode()
    export = b'{"tickets": [], "after_cursor": null, "end_of_stream": true}'

    def respond(seen: ReceivedRequest) -> CannedResponse:
        return CannedResponse(body, 404) if "/tickets/7" in seen.path else CannedResponse(export)

    with loopback(respond) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        with pytest.raises(TicketForbidden, match=r"InvalidEndpoint.*plan"):
            helpdesk.ticket("7")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":"RecordNotFound"}', b'{"error":{}}'])
def test_ticket_that_does_not_exist(connect_oauth: ConnectClient, body: bytes) -> None:
    with loopback(lambda _: CannedResponse(body, 404)) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        assert helpdesk.ticket("7") is None


def test_id_that_zendesk_cannot_have_is_not_asked_for(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient
) -> None:
    assert [connect_oauth().ticket(each) for each in ("x", "1/2", "", "²")] == [None] * 4
    assert zendesk.counters().total == 0
