"""What people read: one short text per problem. Knows plain data only.

Every receiver has a limit of its own, and a message over it is refused for ever; the shortest of
the common chat services is 2,000 characters, and these stay below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Incident, NoticeKind
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.formatting import format_duration, format_time

TITLE_CHARS = 120
TEXT_CHARS = 400
SHOWN_TICKETS = 10
ID_CHARS = 40
SHOWN_COUNTS = 8
COUNT_CHARS = 40


@dataclass(frozen=True, slots=True)
class NoticeContext:
    """When it is said, how often it is said again, and where the UI is; "" for no link."""

    now: datetime
    reminder: timedelta
    ui_url: str = ""


class Level(StrEnum):
    """How a receiver colours it, in the words that Apprise has for it."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Message:
    """`title` is the same for all messages about one problem, so that mail programs and incident
    services put them together."""

    title: str
    body: str
    level: Level


def compose(
    subject: str, incident: Incident, kind: NoticeKind, notice_context: NoticeContext
) -> Message:
    """The message of this kind about this episode.

    Its last line is the same whenever the same thing is said again, as after a crash between
    sending and remembering, so that a receiver can drop the second one.
    """
    lines = [
        _headline(incident, kind, notice_context.now),
        _counts_text(incident.finding),
        _tickets_text(incident.finding),
        f"Since {format_time(incident.since)}, in {_pluralized(incident.runs, 'run')}.",
        _run_link(incident.run_id, notice_context.ui_url),
        f"Ref: {_reference(subject, incident, kind, notice_context)}",
    ]
    return Message(
        truncate(f"helpdesk-assets: {subject}", TITLE_CHARS),
        "\n".join(line for line in lines if line),
        _level(incident, kind),
    )


def sample(now: datetime, ui_url: str) -> Message:
    """What `alerts test` sends: it looks like a real one and says that it is none."""
    finding = Finding(
        "sample",
        Severity.WARN,
        "This is a test of ALERT_URLS; nothing is wrong. A real message names the check and says"
        " what was found.",
        (("missed", 3.0), ("changes", 40.0)),
        ("1001", "1002", "1003"),
    )
    incident = Incident(finding, now, now, "sample", "sample")
    message = compose(
        "test", incident, NoticeKind.OPENED, NoticeContext(now, timedelta(days=1), ui_url)
    )
    return Message(message.title, message.body, Level.INFO)


def truncated(finding: Finding) -> Finding:
    """The part of a finding that a message shows, which is all that is worth remembering."""
    return Finding(
        truncate(finding.subject, TITLE_CHARS),
        finding.severity,
        truncate(finding.text, TEXT_CHARS),
        tuple(
            (truncate(name, COUNT_CHARS), value) for name, value in finding.counts[:SHOWN_COUNTS]
        ),
        # One more than is shown tells that there are more.
        tuple(truncate(ticket, ID_CHARS) for ticket in finding.ticket_ids[: SHOWN_TICKETS + 1]),
    )


def truncate(text: str, chars: int) -> str:
    """In one line, and no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"


def _headline(incident: Incident, kind: NoticeKind, now: datetime) -> str:
    severity, text = incident.finding.severity, truncate(incident.finding.text, TEXT_CHARS)
    lasted = format_duration((incident.resolved_at or now) - incident.since)
    match kind:
        case NoticeKind.ESCALATED:
            return f"{severity}, no longer a warning: {text}"
        case NoticeKind.REMINDER:
            return f"{severity}, still, after {lasted}: {text}"
        case NoticeKind.RESOLVED:
            return f"OK again, after {lasted}. It was {severity}: {text}"
        case NoticeKind.RESOLVED_UNNOTICED:
            return f"OK again. For {lasted} it was {severity}: {text}"
        case _:
            return f"{severity}: {text}"


def _level(incident: Incident, kind: NoticeKind) -> Level:
    if kind in (NoticeKind.RESOLVED, NoticeKind.RESOLVED_UNNOTICED):
        return Level.SUCCESS
    return Level.FAILURE if incident.finding.severity is Severity.ERROR else Level.WARNING


def _counts_text(finding: Finding) -> str:
    shown = truncated(finding).counts
    return ", ".join(f"{name} {value:.6g}" for name, value in shown)


def _tickets_text(finding: Finding) -> str:
    shown = truncated(finding).ticket_ids
    if not shown:
        return ""
    more = " and more" if len(shown) > SHOWN_TICKETS else ""
    return f"Tickets: {', '.join(shown[:SHOWN_TICKETS])}{more}"


def _run_link(run_id: str, ui_url: str) -> str:
    return f"{ui_url.rstrip('/')}/runs/{run_id}" if ui_url else f"Run {run_id}"


def _reference(
    subject: str, incident: Incident, kind: NoticeKind, notice_context: NoticeContext
) -> str:
    nth = (
        f"-{(notice_context.now - incident.since) // notice_context.reminder}"
        if kind is NoticeKind.REMINDER
        else ""
    )
    since = incident.since.astimezone(UTC)
    return f"{truncate(subject, TITLE_CHARS)} {since:%Y%m%dT%H%M%SZ} {kind.value}{nth}"


def _pluralized(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
