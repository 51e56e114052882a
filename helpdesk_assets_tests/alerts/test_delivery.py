"""Who is told in which order, and what happens where one does not take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from helpdesk_assets.alerts.apprise_channel import Answer, Outcome
from helpdesk_assets.alerts.delivery import MOST_TRIES, Delivery, deliver
from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Episodes, Trying
from helpdesk_assets.alerts.message import Message, Terms
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import BEGIN, DAY, episode

TERMS = Terms(BEGIN, DAY)
MANY: Episodes = {
    name: episode(Finding(name, Severity.ERROR, f"{name} failed")) for name in ("a", "b", "c")
}


@dataclass
class Paper:
    """A channel that answers as told and writes down the subjects."""

    name: str
    answer: Callable[[str], Outcome] = lambda _: Outcome.DELIVERED
    asked: list[str] = field(default_factory=list)

    def send(self, message: Message) -> Answer:
        subject = message.title.removeprefix("helpdesk-assets: ")
        self.asked.append(subject)
        return Answer(self.answer(subject), "because")


def tell(episodes: Episodes, *channels: Paper, terms: Terms = TERMS) -> Delivery:
    return deliver(episodes, channels, terms, seconds=lambda: 0.0)


def test_everybody_is_told_everything_once() -> None:
    chat, mail = Paper("chat"), Paper("mail")
    done = tell(MANY, chat, mail)
    assert (chat.asked, mail.asked, done.delivered) == (["a", "b", "c"], ["a", "b", "c"], 6)
    again = tell(done.episodes, chat, mail)
    assert (again.delivered, again.episodes) == (0, done.episodes)


def test_a_channel_that_is_away_is_left_for_this_tick_and_the_others_are_told() -> None:
    chat, mail = Paper("chat", lambda _: Outcome.PASSING), Paper("mail")
    done = tell(MANY, chat, mail)
    assert (chat.asked, mail.asked) == (["a"], ["a", "b", "c"])
    assert done.failures == ["alert URL chat, about a: because"]
    assert done.waiting == 2
    assert all(each.told.keys() == {"mail"} for each in done.episodes.values())


def test_a_refused_message_counts_as_told_and_the_next_follows() -> None:
    chat = Paper("chat", lambda subject: Outcome.REFUSED if subject == "a" else Outcome.DELIVERED)
    done = tell(MANY, chat)
    assert (chat.asked, done.refused, done.delivered) == (["a", "b", "c"], 1, 2)
    assert tell(done.episodes, chat).delivered == 0


def test_an_unclear_failure_holds_up_nothing_and_comes_last_when_it_is_tried_again() -> None:
    chat = Paper("chat", lambda subject: Outcome.UNCLEAR if subject == "a" else Outcome.DELIVERED)
    done = tell(MANY, chat)
    assert (chat.asked, done.failures) == (["a", "b", "c"], [])
    assert done.episodes["a"].trying["chat"] == Trying(1, BEGIN + timedelta(minutes=1))

    episodes = {**done.episodes, "d": episode(Finding("d", Severity.WARN))}
    assert tell(episodes, chat).delivered == 1
    later = Terms(BEGIN + timedelta(minutes=1), DAY)
    chat.asked.clear()
    tell({**done.episodes, "d": episodes["d"]}, chat, terms=later)
    assert chat.asked == ["d", "a"]


def test_an_unclear_failure_is_given_up_after_a_day_of_longer_and_longer_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Paper("chat", lambda _: Outcome.UNCLEAR)
    episodes: Episodes = {"a": MANY["a"]}
    now, refused, pauses = BEGIN, 0, []
    while not refused:
        done = tell(episodes, chat, terms=Terms(now, timedelta(days=9)))
        episodes, refused = done.episodes, done.refused
        if not refused:
            pauses.append(episodes["a"].trying["chat"].again_at - now)
            now = episodes["a"].trying["chat"].again_at
    assert len(chat.asked) == MOST_TRIES
    assert pauses == sorted(pauses)
    assert max(pauses) == timedelta(hours=1)
    assert timedelta(hours=20) < now - BEGIN < timedelta(hours=28)
    assert "chat will not take the message about a: because" in caplog.text
    assert tell(episodes, chat, terms=Terms(now + DAY, timedelta(days=9))).refused == 0


def test_when_the_time_is_up_the_rest_waits() -> None:
    chat, mail = Paper("chat"), Paper("mail")
    ticking = iter(range(100))
    done = deliver(MANY, [chat, mail], TERMS, lambda: float(next(ticking)), budget_seconds=5.0)
    assert 0 < done.delivered < 6
    assert done.delivered + done.waiting == 6
    assert abs(len(chat.asked) - len(mail.asked)) <= 1
