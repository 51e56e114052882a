"""Sends all due notices to every channel within one tick, and records what was sent.

Depends only on the `Channel` protocol and on the clocks that it is given.
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

# Dagster ends a tick after 60 s. The last message may take SEND_TIMEOUT_SECONDS beyond this budget,
# and the tick also reads runs and pings the heartbeat.
TIME_BUDGET_SECONDS = 25.0
# After an unclear failure the pause doubles from one minute to one hour. After about a day the
# message is given up.
MAX_ATTEMPTS = 28
MAX_RETRY_DELAY = timedelta(hours=1)


@dataclass
class DeliveryReport:
    """Result of one delivery round.

    Attributes:
        incidents: All incidents, updated with what was sent.
        delivered: Messages delivered.
        refused: Messages given up for good.
        failures: One line for each message that the next tick sends again.
        waiting: Messages not attempted in this tick.
    """

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
    """Sends each channel the notices that it has not had yet.

    Channels take turns, so a slow one cannot use up the whole budget. Notices that failed before
    come last, so a message that a channel never accepts delays no other.

    Args:
        incidents: Open and recently resolved incidents, by subject.
        channels: Where to send.
        notice_context: Current time, reminder interval and UI address.
        monotonic: Monotonic clock, in seconds.
        budget_seconds: No message is started after this time.
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
                result = channel.send(message)
                _record_result(delivery, channel.name, subject, result, notice_context.now)
                if result.outcome is SendOutcome.TRANSIENT:
                    # The channel is down: each further message would fail and take as long.
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
    delivery: DeliveryReport, channel: str, subject: str, result: SendResult, now: datetime
) -> None:
    incident, reason = delivery.incidents[subject], result.reason
    attempts = _attempts(incident, channel) + 1
    match result.outcome:
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
                "Alert URL %s did not accept the message about %s: %s. Attempt %d; next in %s.",
                *(channel, subject, reason, attempts, format_duration(pause)),
            )
        case _:
            delivery.refused += 1
            delivery.incidents[subject] = incident.with_notice(channel, now)
            log.error(
                "Alert URL %s refused the message about %s: %s. The message is dropped. Correct "
                "the URL and run `helpdesk-assets alerts test`.",
                *(channel, subject, reason),
            )


def _attempts(incident: Incident, channel: str) -> int:
    return incident.retry[channel].attempts if channel in incident.retry else 0
