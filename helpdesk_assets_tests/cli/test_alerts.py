"""`alerts test` sends a sample to each receiver and prints the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets_tests.alerts.alert_server import TOKEN, AlertServer
from helpdesk_assets_tests.cli.conftest import Command, Run


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    with AlertServer() as running:
        yield running


def test_sample_alert_is_delivered(
    empty_environment: Path,
    alert_server: AlertServer,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
) -> None:
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    done = command("alerts", "test")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "Alert URL 1 (json): delivered\n",
        "",
    )
    (message,) = alert_server.received
    assert message.headline.startswith("WARN: This is a test of ALERT_URLS; nothing is wrong.")


def test_each_channel_has_a_line_and_failures_exit_1(
    empty_environment: Path, alert_server: AlertServer, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    alert_server.status = 404
    monkeypatch.setenv(
        "ALERT_URLS", f"{alert_server.alert_url} json://127.0.0.1:1/{TOKEN} no://{TOKEN}"
    )
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "Alert URL 1 (json): refused (HTTP 404)",
        "Alert URL 2 (json): not now (no connection)",
        "Alert URL 3 (no): refused (Apprise does not recognise this URL)",
    ]


def test_heartbeat_is_not_called(
    empty_environment: Path, alert_server: AlertServer, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{alert_server.address}/")
    assert run("alerts", "test").exit_code == 0
    assert alert_server.heartbeats == []


def test_no_channels_configured_gives_one_line(empty_environment: Path, run: Run) -> None:
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ALERT_URLS is empty.")


def test_missing_apprise_gives_one_line_with_a_fix(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("ALERT_URLS", f"json://{TOKEN}")
    monkeypatch.setitem(sys.modules, "apprise", None)
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ALERT_URLS is set, but the package apprise is not")
    assert TOKEN not in done.output
