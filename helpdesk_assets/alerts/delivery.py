"""Brings what is due to every channel, in the time that a tick has. Sends; remembers what was told.

Knows channels by what they promise, and no clock but the one it is given.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from helpdesk_assets.alerts.apprise_channel import Channel, SendOutcome, SendResult
from helpdesk_assets.alerts.incidents import Incident, Incidents, NoticeKind, RetryState, due_notice
from helpdesk_assets.alerts.message import NoticeContext, compose
from helpdesk_assets.formatting import format_duration

log = logging.getLogger(__name__)

# Dagster ends a tick after 60 s. The last message may take SEND_SECONDS beyond this, and the tick
# has runs to read and a heartbeat to send as well.
TIME_BUDGET_SECONDS = 25.0
# Where nothing tells whether a failure passes, the pause doubles from a minute to an hour, and
# after about a day of it the message is given up.
MAX_ATTEMPTS = 28
MAX_RETRY_DELAY = timedelta(hours=1)


@dataclass
class DeliveryReport:
    """What came of it. `failures` names what is to be tried again as it is, one line each."""

    incidents: dict[str, Incident]
    delivered: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    waiting: int = 0


def deliver(
    incidents: Incidents,
    channels: Sequence[Channel],
    notice_context: NoticeContext,
    monotonic: Callable[[], float],
    budget_seconds: float = TIME_BUDGET_SECONDS,
) -> DeliveryReport:
    """Tell each channel what it has not been told. `monotonic` is a clock that only runs on.

    Channels take turns, so that a slow one does not use up everybody's time, and what has failed
    before comes last, so that a message which a channel never takes holds up no other.
    """
    delivery = DeliveryReport(dict(incidents))
    queues = {
        channel.name: _due_queue(incidents, channel.name, notice_context) for channel in channels
    }
    end = monotonic() + budget_seconds
    while any(queues.values()) and monotonic() < end:
        for channel in channels:
            if queues[channel.name] and monotonic() < end:
                subject, kind = queues[channel.name].popleft()
                message = compose(subject, incidents[subject], kind, notice_context)
                answer = channel.send(message)
                _record_result(delivery, channel.name, subject, answer, notice_context.now)
                if answer.outcome is SendOutcome.TRANSIENT:
                    # Nobody is there: the others would fare no better, and take as long.
                    delivery.waiting += len(queues[channel.name])
                    queues[channel.name].clear()
    delivery.waiting += sum(map(len, queues.values()))
    return delivery


def _due_queue(
    incidents: Incidents, channel: str, notice_context: NoticeContext
) -> deque[tuple[str, NoticeKind]]:
    due_notices = [
        (subject, kind)
        for subject, incident in incidents.items()
        if (kind := due_notice(incident, channel, notice_context.now, notice_context.reminder))
    ]

    def fewest_attempts_then_oldest(item: tuple[str, NoticeKind]) -> tuple[int, datetime]:
        incident = incidents[item[0]]
        return _attempts(incident, channel), incident.since

    return deque(sorted(due_notices, key=fewest_attempts_then_oldest))


def _record_result(
    delivery: DeliveryReport, channel: str, subject: str, answer: SendResult, now: datetime
) -> None:
    incident, reason = delivery.incidents[subject], answer.reason
    attempts = _attempts(incident, channel) + 1
    match answer.outcome:
        case SendOutcome.DELIVERED:
            delivery.delivered += 1
            delivery.incidents[subject] = incident.with_notice(channel, now)
        case SendOutcome.TRANSIENT:
            delivery.failures.append(f"alert URL {channel}, about {subject}: {reason}")
        case SendOutcome.UNCLEAR if attempts < MAX_ATTEMPTS:
            pause = min(timedelta(minutes=2 ** (attempts - 1)), MAX_RETRY_DELAY)
            delivery.incidents[subject] = incident.with_retry(
                channel, RetryState(attempts, now + pause)
            )
            log.warning(
                "Alert URL %s failed to take the message about %s: %s. Try %d; the next in %s.",
                *(channel, subject, reason, attempts, format_duration(pause)),
            )
        case _:
            delivery.refused += 1
            delivery.incidents[subject] = incident.with_notice(channel, now)
            log.error(
                "Alert URL %s will not take the message about %s: %s. It is left out; correct the "
                "URL and try `helpdesk-assets alerts test`.",
                *(channel, subject, reason),
            )


def _attempts(incident: Incident, channel: str) -> int:
    return incident.retry[channel].attempts if channel in incident.retry else 0
