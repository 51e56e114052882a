"""`alerts test`: a sample for each receiver, and a line on what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets_tests.alerts.alert_server import TOKEN, Receiver
from helpdesk_assets_tests.cli.conftest import Command, Run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_a_sample_arrives(
    bare: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("ALERT_URLS", receiver.alert_url)
    done = command("alerts", "test")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "Alert URL 1 (json): delivered\n",
        "",
    )
    (message,) = receiver.received
    assert message.headline.startswith("WARN: This is a test of ALERT_URLS; nothing is wrong.")


def test_each_receiver_has_its_line_and_one_that_fails_ends_it_with_1(
    bare: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    receiver.status = 404
    monkeypatch.setenv(
        "ALERT_URLS", f"{receiver.alert_url} json://127.0.0.1:1/{TOKEN} no://{TOKEN}"
    )
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "Alert URL 1 (json): refused (HTTP 404)",
        "Alert URL 2 (json): not now (no connection)",
        "Alert URL 3 (no): refused (this is no URL that Apprise knows)",
    ]


def test_the_heartbeat_is_left_alone(
    bare: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("ALERT_URLS", receiver.alert_url)
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{receiver.address}/")
    assert run("alerts", "test").exit_code == 0
    assert receiver.beats == []


def test_with_nobody_to_tell_one_line_says_so(bare: Path, run: Run) -> None:
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ALERT_URLS names nobody to tell.")


def test_without_apprise_one_line_says_what_to_do(
    bare: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("ALERT_URLS", f"json://{TOKEN}")
    monkeypatch.setitem(sys.modules, "apprise", None)
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ALERT_URLS is set, but the package apprise is not")
    assert TOKEN not in done.output
