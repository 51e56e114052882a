"""Every call to a simulated helpdesk is recorded, also one to an endpoint that it lacks."""

from __future__ import annotations

import pytest
import requests

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.providers.loopback import ReceivedRequest
from helpdesk_assets_tests.vendor_requests.recorder import RequestRecorder, expect_none


def _get(simulator: SimulatedHelpdesk, path: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {simulator.token}"
        session.get(simulator.base_url + path, timeout=10)


def test_calls_of_a_simulated_helpdesk_are_held(request_recorder: RequestRecorder) -> None:
    with SimulatedHelpdesk(3) as simulator, request_recorder.holding() as problems:
        before = request_recorder.held
        _get(simulator, "/v2/tickets?pageSize=3")
        assert (request_recorder.held - before, problems) == (1, [])
        _get(simulator, "/v2/tickets?pageSize=3&moon=1")
        _get(simulator, "/v3/tickets?pageSize=3")
    assert [problem.partition(": ")[2].partition(";")[0] for problem in problems] == [
        "GET /v2/tickets?pageSize=3&moon=1: moon is no parameter of this endpoint",
        "GET /v3/tickets?pageSize=3: no such endpoint",
    ]


def test_calls_of_the_tests_themselves_are_not(request_recorder: RequestRecorder) -> None:
    with SimulatedHelpdesk(3) as simulator, request_recorder.holding() as problems:
        before = request_recorder.held
        simulator.change(1)
        assert (request_recorder.held - before, problems) == (0, [])


def test_nothing_is_kept_outside_the_block(request_recorder: RequestRecorder) -> None:
    with SimulatedHelpdesk(3) as simulator:
        _get(simulator, "/v3/tickets")
        with request_recorder.holding() as problems:
            pass
        _get(simulator, "/v3/tickets")
    assert problems == []


def test_canned_answers_are_held_likewise(request_recorder: RequestRecorder) -> None:
    received = ReceivedRequest(
        "/api/v2/tickets?page=301",
        None,
        None,
        headers={"Accept": "*/*", "Authorization": "Basic a"},
    )
    with request_recorder.holding() as problems:
        request_recorder.hold_received("freshdesk", received)
    assert "more than 300" in problems[0]


@pytest.mark.asks_wrongly("page=301")
def test_only_meant_problems_are_excused(request: pytest.FixtureRequest) -> None:
    expect_none(["freshdesk: page=301 is more than 300"], request.node)
    with pytest.raises(AssertionError, match="1 requests are not as the vendor publishes them"):
        expect_none(["page=301", "page=0 is less than 1", "page=0 is less than 1"], request.node)
