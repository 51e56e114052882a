"""The order of delivery to channels, and retries of failed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.apprise_channel import SendOutcome, SendResult
from helpdesk_assets.alerts.delivery import MAX_ATTEMPTS, DeliveryReport, deliver
from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Incidents, RetryState
from helpdesk_assets.alerts.message import Message, NoticeContext
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, DAY, incident

TERMS = NoticeContext(BEGIN, DAY)
MANY: Incidents = {
    name: incident(Finding(name, Severity.ERROR, f"{name} failed")) for name in ("a", "b", "c")
}


@dataclass
class FakeChannel:
    """A channel with given results that records the subjects."""

    name: str
    answer: Callable[[str], SendOutcome] = lambda _: SendOutcome.DELIVERED
    sent: list[str] = field(default_factory=list)

    def send(self, message: Message) -> SendResult:
        subject = message.title.removeprefix("helpdesk-assets: ")
        self.sent.append(subject)
        return SendResult(self.answer(subject), "because")


def notify(
    incidents: Incidents, *channels: FakeChannel, notice_context: NoticeContext = TERMS
) -> DeliveryReport:
    return deliver(incidents, channels, notice_context, monotonic=lambda: 0.0)


def test_every_channel_gets_every_message_once() -> None:
    chat, mail = FakeChannel("chat"), FakeChannel("mail")
    done = notify(MANY, chat, mail)
    assert (chat.sent, mail.sent, done.delivered) == (["a", "b", "c"], ["a", "b", "c"], 6)
    again = notify(done.incidents, chat, mail)
    assert (again.delivered, again.incidents) == (0, done.incidents)


def test_unreachable_channel_is_skipped_this_tick_and_others_are_notified() -> None:
    chat, mail = FakeChannel("chat", lambda _: SendOutcome.TRANSIENT), FakeChannel("mail")
    done = notify(MANY, chat, mail)
    assert (chat.sent, mail.sent) == (["a"], ["a", "b", "c"])
    assert done.failures == ["alert URL chat, about a: because"]
    assert done.waiting == 2
    assert all(each.last_notice.keys() == {"mail"} for each in done.incidents.values())


def test_rejected_message_counts_as_sent() -> None:
    chat = FakeChannel(
        "chat", lambda subject: SendOutcome.REFUSED if subject == "a" else SendOutcome.DELIVERED
    )
    done = notify(MANY, chat)
    assert (chat.sent, done.refused, done.delivered) == (["a", "b", "c"], 1, 2)
    assert notify(done.incidents, chat).delivered == 0


def test_unclear_failures_are_retried_last_and_block_nothing() -> None:
    chat = FakeChannel(
        "chat", lambda subject: SendOutcome.UNCLEAR if subject == "a" else SendOutcome.DELIVERED
    )
    done = notify(MANY, chat)
    assert (chat.sent, done.failures) == (["a", "b", "c"], [])
    assert done.incidents["a"].retry["chat"] == RetryState(1, BEGIN + timedelta(minutes=1))

    incidents = {**done.incidents, "d": incident(Finding("d", Severity.WARN))}
    assert notify(incidents, chat).delivered == 1
    later = NoticeContext(BEGIN + timedelta(minutes=1), DAY)
    chat.sent.clear()
    notify({**done.incidents, "d": incidents["d"]}, chat, notice_context=later)
    assert chat.sent == ["d", "a"]


def test_unclear_failures_back_off_and_are_dropped_after_a_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = FakeChannel("chat", lambda _: SendOutcome.UNCLEAR)
    incidents: Incidents = {"a": MANY["a"]}
    now, refused, pauses = BEGIN, 0, []
    while not refused:
        done = notify(incidents, chat, notice_context=NoticeContext(now, timedelta(days=9)))
        incidents, refused = done.incidents, done.refused
        if not refused:
            pauses.append(incidents["a"].retry["chat"].next_attempt_at - now)
            now = incidents["a"].retry["chat"].next_attempt_at
    assert len(chat.sent) == MAX_ATTEMPTS
    assert pauses == sorted(pauses)
    assert max(pauses) == timedelta(hours=1)
    assert timedelta(hours=20) < now - BEGIN < timedelta(hours=28)
    assert "chat refused the message about a: because" in caplog.text
    assert (
        notify(incidents, chat, notice_context=NoticeContext(now + DAY, timedelta(days=9))).refused
        == 0
    )


def test_remaining_messages_wait_when_time_runs_out() -> None:
    chat, mail = FakeChannel("chat"), FakeChannel("mail")
    ticking = iter(range(100))
    done = deliver(MANY, [chat, mail], TERMS, lambda: float(next(ticking)), budget_seconds=5.0)
    assert 0 < done.delivered < 6
    assert done.delivered + done.waiting == 6
    assert abs(len(chat.sent) - len(mail.sent)) <= 1
