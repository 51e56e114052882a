"""Apprise over HTTP: delivery, time limits, and what must never be logged."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Iterator

import pytest
import urllib3

from helpdesk_assets.alerts import apprise_channel
from helpdesk_assets.alerts.apprise_channel import (
    Channel,
    SendOutcome,
    SendResult,
    classify_failure,
    open_channels,
    ping_heartbeat,
)
from helpdesk_assets.alerts.message import Level, Message
from helpdesk_assets.errors import SettingsError
from helpdesk_assets_tests.alerts.alert_server import TOKEN, AlertServer

MESSAGE = Message(
    "A title", "One line.\nAnother *line* with <b>signs</b> & umlauts: ü", Level.WARNING
)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(0):
        yield caplog


@pytest.fixture
def unroutable_port() -> Iterator[str]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def only_channel(alert_url: str) -> Channel:
    (opened,) = open_channels(alert_url)
    return opened


def test_message_arrives_unchanged(alert_server: AlertServer) -> None:
    assert only_channel(alert_server.alert_url).send(MESSAGE) == SendResult(SendOutcome.DELIVERED)
    (received,) = alert_server.received
    assert (received.title, received.body, received.level) == (
        MESSAGE.title,
        MESSAGE.body,
        "warning",
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, SendOutcome.REFUSED),
        (401, SendOutcome.REFUSED),
        (404, SendOutcome.REFUSED),
        (413, SendOutcome.REFUSED),
        (408, SendOutcome.TRANSIENT),
        (429, SendOutcome.TRANSIENT),
        (500, SendOutcome.TRANSIENT),
        (503, SendOutcome.TRANSIENT),
    ],
)
def test_http_status_determines_send_result(
    alert_server: AlertServer, status: int, outcome: SendOutcome
) -> None:
    alert_server.status = status
    assert only_channel(alert_server.alert_url).send(MESSAGE) == SendResult(
        outcome, f"HTTP {status}"
    )


def test_unreachable_channel_is_a_transient_failure() -> None:
    answer = only_channel("json://127.0.0.1:1/").send(MESSAGE)
    assert answer == SendResult(SendOutcome.TRANSIENT, "no connection")


def test_unresponsive_channel_times_out(
    unroutable_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise_channel, "SEND_TIMEOUT_SECONDS", 0.2)
    began = time.monotonic()
    answer = only_channel(f"json://{unroutable_port}/?rto=3").send(MESSAGE)
    assert answer.outcome is SendOutcome.TRANSIENT
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    ("log_lines", "answer"),
    [
        ([], SendResult(SendOutcome.UNCLEAR, "Apprise gives no reason")),
        (["Authentication failed"], SendResult(SendOutcome.UNCLEAR, "Apprise gives no reason")),
        (["Failed: Not Found, error=404."], SendResult(SendOutcome.REFUSED, "HTTP 404")),
        (
            ["... error=404.", "... error=503."],
            SendResult(SendOutcome.TRANSIENT, "HTTP 404, HTTP 503"),
        ),
        (["... error=302."], SendResult(SendOutcome.UNCLEAR, "HTTP 302")),
        (
            ["A Connection error occurred sending Slack notification."],
            SendResult(SendOutcome.TRANSIENT, "no connection"),
        ),
        # Raised for any mail error, also for a wrong password, which must not be retried forever.
        (
            ['Connection error while submitting email to "smtp.example.com"'],
            SendResult(SendOutcome.UNCLEAR, "Apprise gives no reason"),
        ),
    ],
)
def test_apprise_log_text_determines_send_result(log_lines: list[str], answer: SendResult) -> None:
    assert classify_failure(log_lines) == answer


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", ";  "])
def test_each_url_is_a_channel(between: str) -> None:
    urls = ["json://a.example.com/x,y?a=b", "slack://T0/B0/xyz", "nonsense://what"]
    names = [opened.name for opened in open_channels(between.join(urls))]
    assert names == ["1 (json)", "2 (slack)", "3 (nonsense)"]


def test_no_url_means_no_channels() -> None:
    assert open_channels(" \n") == ()


@pytest.mark.parametrize("url", [f"nonsense://{TOKEN}", f"slack://{TOKEN}", TOKEN, f"://{TOKEN}"])
def test_invalid_apprise_url_is_rejected_without_being_logged(
    url: str, everything_logged: pytest.LogCaptureFixture
) -> None:
    opened = only_channel(url)
    answer = opened.send(MESSAGE)
    assert answer == SendResult(SendOutcome.REFUSED, "Apprise does not recognise this URL")
    assert TOKEN not in f"{opened!r} {answer!r} {everything_logged.text}"


@pytest.mark.parametrize("status", [200, 404, 503])
def test_channel_urls_are_never_logged(
    alert_server: AlertServer, everything_logged: pytest.LogCaptureFixture, status: int
) -> None:
    alert_server.status = status
    opened = only_channel(alert_server.alert_url)
    answer = opened.send(MESSAGE)
    ping_heartbeat(f"http://{alert_server.address}/{TOKEN}")
    assert alert_server.heartbeats
    text = f"{opened!r} {answer!r} {everything_logged.text}"
    assert TOKEN not in text
    assert alert_server.address not in text


def test_channel_urls_are_not_logged_when_unreachable(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    only_channel(f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}").send(MESSAGE)
    ping_heartbeat(f"http://127.0.0.1:1/{TOKEN}")
    ping_heartbeat(f"no-scheme:{TOKEN}")
    assert "The ping to HEARTBEAT_URL failed" in everything_logged.text
    assert TOKEN not in everything_logged.text


def test_other_loggers_are_unaffected(
    alert_server: AlertServer, everything_logged: pytest.LogCaptureFixture
) -> None:
    only_channel(alert_server.alert_url).send(MESSAGE)
    logging.getLogger("apprise").warning("of somebody else")
    urllib3.PoolManager().request("GET", f"http://{alert_server.address}/of-somebody-else")
    assert "of somebody else" in everything_logged.text
    assert "/of-somebody-else" in everything_logged.text


def test_missing_apprise_gives_one_line_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match="pip install apprise") as raised:
        open_channels(f"json://{TOKEN}")
    assert TOKEN not in str(raised.value)
    assert open_channels("") == ()


def test_heartbeat_rejection_is_logged(
    alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    alert_server.status = 404
    ping_heartbeat(f"http://{alert_server.address}/{TOKEN}")
    assert "failed: HTTP 404" in caplog.text


def test_no_heartbeat_url_sends_no_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    ping_heartbeat("")
    assert caplog.text == ""
