"""What `/healthz` and the log say of events that are not stored."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.registry import make_webhook_format
from helpdesk_assets.providers.webhooks.events import Post, Verification
from helpdesk_assets.receiver.stats import LATENCIES, LOG_AGAIN_AFTER, ReceiverStats
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    Sender,
    rest_event,
    whole_ticket,
)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


def lines(caplog: pytest.LogCaptureFixture, beginning: str) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    return [line for line in said if line.startswith(beginning)]


def storing(sender: Sender) -> int:
    return requests.get(f"{sender.url}/healthz/storing", timeout=60).status_code


def test_senders_that_cannot_be_verified_are_told_once(
    open_alone: Open,
    settings_alone: Settings,
    memory: MemoryStore,
    warnings: pytest.LogCaptureFixture,
) -> None:
    """A vendor's keys are out of reach: an outage, and no wrong secret."""
    are_there = False

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        if not are_there:
            raise EndpointFailed("no answer of https://keys")
        return Verification(is_signed=True)

    vendor = replace(make_webhook_format(settings_alone), verify=verify)
    with open_alone(store=memory, webhook_format=vendor) as sender:
        for _ in range(3):
            assert sender.send(rest_event(whole_ticket(1), "e")).status_code == 503
        seen = sender.health()
        assert (seen["status"], seen["failing_since"]) == ("failing", None)
        assert seen["verify_failing_since"]
        assert seen["verify_failing_because"] == "the vendor's keys are out of reach"
        # The process works: a restart would mend nothing.
        assert requests.get(f"{sender.url}/healthz", timeout=60).status_code == 200
        assert storing(sender) == 503

        are_there = True
        assert sender.send(rest_event(whole_ticket(1), "e")).status_code == 200
        seen = sender.health()
        assert (seen["status"], seen["verify_failing_since"]) == ("ok", None)
        assert storing(sender) == 200
    (told,) = lines(warnings, "Senders of webhooks cannot be verified")
    assert told.endswith("; vendors are asked to retry. no answer of https://keys")
    assert len(lines(warnings, "Senders of webhooks are verified again")) == 1


@pytest.mark.parametrize(("minutes", "side"), [(-11, "behind"), (11, "ahead of")])
def test_wrong_clock_is_told_apart_from_a_wrong_secret(
    sender_alone: Sender, warnings: pytest.LogCaptureFixture, minutes: int, side: str
) -> None:
    event = rest_event(whole_ticket(1), "e")
    wrong = sender_alone.send(event, secret="another-secret-that-is-long")
    assert sender_alone.health()["clock_off_seconds"] is None
    for _ in range(3):
        off = sender_alone.send(event, at=time.time() + 60 * minutes)
    seen = sender_alone.health()

    # The vendor, or a stranger, sees no difference.
    assert (off.status_code, off.text) == (wrong.status_code, wrong.text) == (401, wrong.text)
    assert seen["refused"] == {"401": 4}
    assert sorted(seen["refused_because"].values()) == [1, 3]
    assert seen["clock_off_seconds"] == pytest.approx(60 * minutes, abs=5)
    assert seen["status"] == "failing"
    first, second = lines(warnings, "Posts are refused with 401: ")
    assert "WEBHOOK_SECRETS" in first
    assert f"11 minutes {side} ours: check this machine's clock" in second
    assert SECRET not in warnings.text

    assert sender_alone.send(event).status_code == 200
    seen = sender_alone.health()
    assert (seen["clock_off_seconds"], seen["status"]) == (None, "ok")


def test_each_cause_is_logged_at_most_once_an_hour(warnings: pytest.LogCaptureFixture) -> None:
    now = START

    def clock() -> object:
        return now

    stats = ReceiverStats(clock)  # type: ignore[arg-type]
    for _ in range(1000):
        stats.record_rejection(401, "a stranger")
        stats.record_append(1, 0.1)
    stats.record_rejection(404, "no such path")
    now += LOG_AGAIN_AFTER
    stats.record_rejection(401, "a stranger")

    assert [line.partition(":")[2].partition(".")[0] for line in lines(warnings, "Posts")] == [
        " a stranger (1 since the last such line)",
        " no such path (1 since the last such line)",
        " a stranger (1000 since the last such line)",
    ]


@pytest.mark.parametrize(
    "path",
    ["//webhooks/rest", "/Webhooks/Rest", "/webhooks", "/webhooks/", "/webhooks/rest//", "/x"],
)
def test_unknown_paths_are_counted_and_never_redirected(sender_alone: Sender, path: str) -> None:
    answer = requests.post(
        sender_alone.url + path,
        data=b"{}",
        headers={"X-Forwarded-Proto": "https"},
        timeout=60,
        allow_redirects=False,
    )
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    assert sender_alone.health()["refused"] == {"404": 1}


def test_slash_at_the_end_is_taken_as_without(open_alone: Open, memory: MemoryStore) -> None:
    with open_alone(store=memory) as sender:
        slashed = Sender(sender.url, "rest/")
        assert slashed.send(rest_event(whole_ticket(1), "e")).status_code == 200
        slashed.close()
    assert memory.written == ["e"]


def test_unknown_method_is_counted(sender_alone: Sender) -> None:
    assert sender_alone.request("DELETE").status_code == 405
    assert sender_alone.health()["refused"] == {"405": 1}


def test_latency_is_that_of_the_latest_appends() -> None:
    stats = ReceiverStats(lambda: START)
    assert stats.describe()["append_seconds"] == {}
    for seconds in (9.0, *([0.1] * LATENCIES), 0.5):
        stats.record_append(2, seconds)

    seen = stats.describe()
    assert seen["append_seconds"] == {"median": 0.1, "longest": 0.5}
    assert (seen["accepted"], seen["appends"]) == (2 * LATENCIES + 4, LATENCIES + 2)
