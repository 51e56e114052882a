"""Composes the text of a notice: one short message per incident. Knows only plain data.

Every receiver limits the length of a message and refuses longer ones for good. The lowest limit of
the common chat services is 2,000 characters, and these messages stay below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Incident, NoticeKind
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.formatting import format_duration, format_time, pluralized

TITLE_CHARS = 120
TEXT_CHARS = 400
SHOWN_TICKETS = 10
ID_CHARS = 40
SHOWN_COUNTS = 8
COUNT_CHARS = 40


# Chat services read these as mentions, links and pictures; a ticket's id may hold anything.
_LOOKALIKES = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20"})


@dataclass(frozen=True, slots=True)
class NoticeContext:
    """Current time, reminder interval and address of Dagster's UI (empty: no link)."""

    now: datetime
    reminder: timedelta
    ui_url: str = ""


class Level(StrEnum):
    """How a receiver colours a message, in Apprise's terms."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    All messages about one subject share the title, so that mail programs and incident services
    group them.
    """

    title: str
    body: str
    level: Level


def compose(
    subject: str, incident: Incident, kind: NoticeKind, notice_context: NoticeContext
) -> Message:
    """Composes the message for one notice.

    A notice that is sent again, such as after a crash between sending and storing the cursor, has
    the same last line, so that a receiver can drop the duplicate.

    Args:
        subject: The check or job.
        incident: The incident.
        kind: Why the notice is sent.
        notice_context: Current time, reminder interval and UI address.
    """
    lines = [
        _headline(incident, kind, notice_context.now),
        _counts_text(incident.finding),
        _tickets_text(incident.finding),
        f"Since {format_time(incident.since)}, in {pluralized(incident.runs, 'run')}.",
        _run_link(incident.run_id, notice_context.ui_url),
        f"Ref: {_reference(subject, incident, kind, notice_context)}",
    ]
    return Message(
        truncate(f"helpdesk-assets: {subject}", TITLE_CHARS),
        "\n".join(line for line in lines if line),
        _level(incident, kind),
    )


def sample(now: datetime, ui_url: str) -> Message:
    """The message of `alerts test`: looks like a real one and says that it is a test."""
    finding = Finding(
        "sample",
        Severity.WARN,
        "This is a test of ALERT_URLS; nothing is wrong. A real message names the check and its"
        " result.",
        (("missed", 3.0), ("changes", 40.0)),
        ("1001", "1002", "1003"),
    )
    incident = Incident(finding, now, now, "sample", "sample")
    message = compose(
        "test", incident, NoticeKind.OPENED, NoticeContext(now, timedelta(days=1), ui_url)
    )
    return Message(message.title, message.body, Level.INFO)


def truncated(finding: Finding) -> Finding:
    """Returns the part of a finding that a message shows, which is all that the cursor stores."""
    return Finding(
        truncate(finding.subject, TITLE_CHARS),
        finding.severity,
        truncate(finding.text, TEXT_CHARS),
        tuple(
            (truncate(name, COUNT_CHARS), value) for name, value in finding.counts[:SHOWN_COUNTS]
        ),
        # One more than a message shows, so that it can say "and more".
        tuple(
            truncate(_unlinked(ticket), ID_CHARS)
            for ticket in finding.ticket_ids[: SHOWN_TICKETS + 1]
        ),
    )


def _unlinked(ticket_id: str) -> str:
    return ticket_id.replace("://", ":/ /")


def truncate(text: str, chars: int) -> str:
    """Joins the text into one line of at most `chars` characters, without markup of chats."""
    line = " ".join(text.split()).translate(_LOOKALIKES).replace("](", "] (")
    return line if len(line) <= chars else line[: chars - 1] + "…"


def _headline(incident: Incident, kind: NoticeKind, now: datetime) -> str:
    severity, text = incident.finding.severity, truncate(incident.finding.text, TEXT_CHARS)
    lasted = format_duration((incident.resolved_at or now) - incident.since)
    match kind:
        case NoticeKind.ESCALATED:
            return f"{severity}, was a warning: {text}"
        case NoticeKind.REMINDER:
            return f"Still {severity} after {lasted}: {text}"
        case NoticeKind.RESOLVED:
            return f"OK again after {lasted}. Was {severity}: {text}"
        case NoticeKind.RESOLVED_UNNOTICED:
            return f"OK again. Was {severity} for {lasted}: {text}"
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
