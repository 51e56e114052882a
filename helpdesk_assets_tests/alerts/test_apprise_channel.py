"""Apprise over HTTP: what becomes of a message, how long it may take, and what is never logged."""

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
    Answer,
    Channel,
    Outcome,
    beat,
    open_channels,
    why_not,
)
from helpdesk_assets.alerts.message import Level, Message
from helpdesk_assets.errors import SettingsError
from helpdesk_assets_tests.alerts.alert_server import TOKEN, Receiver

MESSAGE = Message(
    "A title", "One line.\nAnother *line* with <b>signs</b> & umlauts: ü", Level.WARNING
)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(0):
        yield caplog


@pytest.fixture
def hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def only(alert_url: str) -> Channel:
    (opened,) = open_channels(alert_url)
    return opened


def test_a_message_arrives_as_it_was_written(receiver: Receiver) -> None:
    assert only(receiver.alert_url).send(MESSAGE) == Answer(Outcome.DELIVERED)
    (received,) = receiver.received
    assert (received.title, received.body, received.level) == (
        MESSAGE.title,
        MESSAGE.body,
        "warning",
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (413, Outcome.REFUSED),
        (408, Outcome.PASSING),
        (429, Outcome.PASSING),
        (500, Outcome.PASSING),
        (503, Outcome.PASSING),
    ],
)
def test_the_status_of_the_answer_decides(
    receiver: Receiver, status: int, outcome: Outcome
) -> None:
    receiver.status = status
    assert only(receiver.alert_url).send(MESSAGE) == Answer(outcome, f"HTTP {status}")


def test_nobody_there_passes() -> None:
    answer = only("json://127.0.0.1:1/").send(MESSAGE)
    assert answer == Answer(Outcome.PASSING, "no connection")


def test_a_receiver_that_says_nothing_takes_no_more_than_its_time(
    hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise_channel, "SEND_SECONDS", 0.2)
    began = time.monotonic()
    answer = only(f"json://{hole}/?rto=3").send(MESSAGE)
    assert answer.outcome is Outcome.PASSING
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ([], Answer(Outcome.UNCLEAR, "Apprise does not say why")),
        (["Authentication failed"], Answer(Outcome.UNCLEAR, "Apprise does not say why")),
        (["Failed: Not Found, error=404."], Answer(Outcome.REFUSED, "HTTP 404")),
        (["... error=404.", "... error=503."], Answer(Outcome.PASSING, "HTTP 404, HTTP 503")),
        (["... error=302."], Answer(Outcome.UNCLEAR, "HTTP 302")),
        (
            ["A Connection error occurred sending Slack notification."],
            Answer(Outcome.PASSING, "no connection"),
        ),
        # Said of any trouble with mail, also of a wrong password, which must not be tried for ever.
        (
            ['Connection error while submitting email to "smtp.example.com"'],
            Answer(Outcome.UNCLEAR, "Apprise does not say why"),
        ),
    ],
)
def test_what_apprise_says_decides_where_it_says_anything(heard: list[str], answer: Answer) -> None:
    assert why_not(heard) == answer


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", ";  "])
def test_several_urls_are_several_channels(between: str) -> None:
    urls = ["json://a.example.com/x,y?a=b", "slack://T0/B0/xyz", "nonsense://what"]
    names = [opened.name for opened in open_channels(between.join(urls))]
    assert names == ["1 (json)", "2 (slack)", "3 (nonsense)"]


def test_no_url_is_no_channel() -> None:
    assert open_channels(" \n") == ()


@pytest.mark.parametrize("url", [f"nonsense://{TOKEN}", f"slack://{TOKEN}", TOKEN, f"://{TOKEN}"])
def test_what_apprise_makes_nothing_of_refuses_and_is_not_spelled_out(
    url: str, everything_logged: pytest.LogCaptureFixture
) -> None:
    opened = only(url)
    answer = opened.send(MESSAGE)
    assert answer == Answer(Outcome.REFUSED, "this is no URL that Apprise knows")
    assert TOKEN not in f"{opened!r} {answer!r} {everything_logged.text}"


@pytest.mark.parametrize("status", [200, 404, 503])
def test_no_address_is_logged_at_any_level_by_anybody(
    receiver: Receiver, everything_logged: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.status = status
    opened = only(receiver.alert_url)
    answer = opened.send(MESSAGE)
    beat(f"http://{receiver.address}/{TOKEN}")
    assert receiver.beats
    text = f"{opened!r} {answer!r} {everything_logged.text}"
    assert TOKEN not in text
    assert receiver.address not in text


def test_no_address_is_logged_where_nobody_is(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    only(f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}").send(MESSAGE)
    beat(f"http://127.0.0.1:1/{TOKEN}")
    beat(f"no-scheme:{TOKEN}")
    assert "HEARTBEAT_URL was called" in everything_logged.text
    assert TOKEN not in everything_logged.text


def test_what_others_log_meanwhile_and_afterwards_is_left_alone(
    receiver: Receiver, everything_logged: pytest.LogCaptureFixture
) -> None:
    only(receiver.alert_url).send(MESSAGE)
    logging.getLogger("apprise").warning("of somebody else")
    urllib3.PoolManager().request("GET", f"http://{receiver.address}/of-somebody-else")
    assert "of somebody else" in everything_logged.text
    assert "/of-somebody-else" in everything_logged.text


def test_without_apprise_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match="pip install apprise") as raised:
        open_channels(f"json://{TOKEN}")
    assert TOKEN not in str(raised.value)
    assert open_channels("") == ()


def test_a_watcher_that_refuses_is_logged(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 404
    beat(f"http://{receiver.address}/{TOKEN}")
    assert "did not take it: HTTP 404" in caplog.text


def test_without_a_heartbeat_url_nothing_is_called(caplog: pytest.LogCaptureFixture) -> None:
    beat("")
    assert caplog.text == ""
