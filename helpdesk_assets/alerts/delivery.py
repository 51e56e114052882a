"""Brings what is due to every channel, in the time that a tick has. Sends; remembers what was told.

Knows channels by what they promise, and no clock but the one it is given.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from helpdesk_assets.alerts.apprise_channel import Answer, Channel, Outcome
from helpdesk_assets.alerts.incidents import Episode, Episodes, Kind, Trying, due
from helpdesk_assets.alerts.message import Terms, compose
from helpdesk_assets.formatting import age

log = logging.getLogger(__name__)

# Dagster ends a tick after 60 s. The last message may take SEND_SECONDS beyond this, and the tick
# has runs to read and a heartbeat to send as well.
BUDGET_SECONDS = 25.0
# Where nothing tells whether a failure passes, the pause doubles from a minute to an hour, and
# after about a day of it the message is given up.
MOST_TRIES = 28
LONGEST_PAUSE = timedelta(hours=1)


@dataclass
class Delivery:
    """What came of it. `failures` names what is to be tried again as it is, one line each."""

    episodes: dict[str, Episode]
    delivered: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    waiting: int = 0


def deliver(
    episodes: Episodes,
    channels: Sequence[Channel],
    terms: Terms,
    seconds: Callable[[], float],
    budget_seconds: float = BUDGET_SECONDS,
) -> Delivery:
    """Tell each channel what it has not been told. `seconds` is a clock that only runs on.

    Channels take turns, so that a slow one does not use up everybody's time, and what has failed
    before comes last, so that a message which a channel never takes holds up no other.
    """
    done = Delivery(dict(episodes))
    queues = {channel.name: _queue(episodes, channel.name, terms) for channel in channels}
    end = seconds() + budget_seconds
    while any(queues.values()) and seconds() < end:
        for channel in channels:
            if queues[channel.name] and seconds() < end:
                subject, kind = queues[channel.name].popleft()
                message = compose(subject, episodes[subject], kind, terms)
                answer = channel.send(message)
                _note(done, channel.name, subject, answer, terms.now)
                if answer.outcome is Outcome.PASSING:
                    # Nobody is there: the others would fare no better, and take as long.
                    done.waiting += len(queues[channel.name])
                    queues[channel.name].clear()
    done.waiting += sum(map(len, queues.values()))
    return done


def _queue(episodes: Episodes, channel: str, terms: Terms) -> deque[tuple[str, Kind]]:
    wanted = [
        (subject, kind)
        for subject, episode in episodes.items()
        if (kind := due(episode, channel, terms.now, terms.reminder))
    ]

    def failed_least_then_oldest(item: tuple[str, Kind]) -> tuple[int, datetime]:
        episode = episodes[item[0]]
        return _tries(episode, channel), episode.since

    return deque(sorted(wanted, key=failed_least_then_oldest))


def _note(done: Delivery, channel: str, subject: str, answer: Answer, now: datetime) -> None:
    episode, reason = done.episodes[subject], answer.reason
    tries = _tries(episode, channel) + 1
    match answer.outcome:
        case Outcome.DELIVERED:
            done.delivered += 1
            done.episodes[subject] = episode.now_told(channel, now)
        case Outcome.PASSING:
            done.failures.append(f"alert URL {channel}, about {subject}: {reason}")
        case Outcome.UNCLEAR if tries < MOST_TRIES:
            pause = min(timedelta(minutes=2 ** (tries - 1)), LONGEST_PAUSE)
            done.episodes[subject] = episode.now_trying(channel, Trying(tries, now + pause))
            log.warning(
                "Alert URL %s failed to take the message about %s: %s. Try %d; the next in %s.",
                *(channel, subject, reason, tries, age(pause)),
            )
        case _:
            done.refused += 1
            done.episodes[subject] = episode.now_told(channel, now)
            log.error(
                "Alert URL %s will not take the message about %s: %s. It is left out; correct the "
                "URL and try `helpdesk-assets alerts test`.",
                *(channel, subject, reason),
            )


def _tries(episode: Episode, channel: str) -> int:
    return episode.trying[channel].tries if channel in episode.trying else 0
