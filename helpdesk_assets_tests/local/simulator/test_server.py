from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk, serve

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_equal_seeds_and_starts_give_equal_helpdesks() -> None:
    bodies = []
    for seed in (3, 3, 4):
        with SimulatedHelpdesk(tickets=30, seed=seed, start=START, frozen=True) as simulator:
            simulator.change(5, spread_seconds=5)
            simulator.create(2)
            bodies.append(list(simulator.truth(raw_ticket=True)))
    assert bodies[0] == bodies[1]
    assert bodies[0] != bodies[2]


def test_server_stops_cleanly_and_frees_its_port() -> None:
    with SimulatedHelpdesk(tickets=1) as simulator:
        port = int(simulator.base_url.rpartition(":")[2])
    assert not simulator._thread.is_alive()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_server_stops_after_an_error_in_the_block() -> None:
    simulator = SimulatedHelpdesk(tickets=1)
    with pytest.raises(ZeroDivisionError), simulator:
        _ = 1 / 0
    with requests.Session() as session, pytest.raises(requests.ConnectionError):
        session.get(simulator.base_url + "/healthz", timeout=5)


def test_unstarted_server_can_be_stopped() -> None:
    SimulatedHelpdesk(tickets=1).stop()


def test_dropped_connection_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with SimulatedHelpdesk(tickets=5) as simulator, caplog.at_level(logging.WARNING):
        simulator.fault("drop_connection")
        headers = {"Authorization": f"Bearer {simulator.token}"}
        with pytest.raises(requests.RequestException):
            requests.get(simulator.base_url + "/v2/tickets", headers=headers, timeout=5)
    assert caplog.records == []


def test_delayed_call_does_not_block_stopping(caplog: pytest.LogCaptureFixture) -> None:
    with SimulatedHelpdesk(tickets=5) as simulator, caplog.at_level(logging.WARNING):
        simulator.fault("latency", seconds=3600)
        headers = {"Authorization": f"Bearer {simulator.token}"}
        with pytest.raises(requests.Timeout):
            requests.get(simulator.base_url + "/v2/tickets", headers=headers, timeout=0.2)
    assert caplog.records == []


def test_custom_token() -> None:
    with SimulatedHelpdesk(tickets=1, token="other") as simulator:
        status = {
            token: requests.get(
                simulator.base_url + "/v2/tickets",
                headers={"Authorization": f"Bearer {token}"},
                timeout=5,
            ).status_code
            for token in ("other", "local-demo-token")
        }
    assert status == {"other": 200, "local-demo-token": 401}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    code = (
        "from helpdesk_assets.local.simulator.server import serve;"
        "serve('127.0.0.1', 0, 500, 7, announce=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_process_announces_itself_and_ends_on_request(
    process: subprocess.Popen[str], how: signal.Signals
) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert requests.get(f"{url}/healthz", timeout=5).json() == {"status": "ok", "tickets": 500}
    process.send_signal(how)
    _, errors = process.communicate(timeout=10)
    assert errors == ""
    assert process.returncode == (0 if how == signal.SIGINT else -signal.SIGTERM)


def test_port_in_use_raises_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve("127.0.0.1", taken.getsockname()[1], 1, 7)
