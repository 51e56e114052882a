"""What people read: one short text per problem. Knows plain data only.

Every receiver has a limit of its own, and a message over it is refused for ever; the shortest of
the common chat services is 2,000 characters, and these stay below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import Episode, Kind
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.formatting import age, moment

TITLE_CHARS = 120
TEXT_CHARS = 400
SHOWN_TICKETS = 10
ID_CHARS = 40
SHOWN_COUNTS = 8
COUNT_CHARS = 40


@dataclass(frozen=True, slots=True)
class Terms:
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


def compose(subject: str, episode: Episode, kind: Kind, terms: Terms) -> Message:
    """The message of this kind about this episode.

    Its last line is the same whenever the same thing is said again, as after a crash between
    sending and remembering, so that a receiver can drop the second one.
    """
    lines = [
        _headline(episode, kind, terms.now),
        _counts(episode.finding),
        _tickets(episode.finding),
        f"Since {moment(episode.since)}, in {_counted(episode.runs, 'run')}.",
        _run(episode.run_id, terms.ui_url),
        f"Ref: {_reference(subject, episode, kind, terms)}",
    ]
    return Message(
        cut(f"helpdesk-assets: {subject}", TITLE_CHARS),
        "\n".join(line for line in lines if line),
        _level(episode, kind),
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
    episode = Episode(finding, now, now, "sample", "sample")
    message = compose("test", episode, Kind.BEGAN, Terms(now, timedelta(days=1), ui_url))
    return Message(message.title, message.body, Level.INFO)


def bounded(finding: Finding) -> Finding:
    """The part of a finding that a message shows, which is all that is worth remembering."""
    return Finding(
        cut(finding.subject, TITLE_CHARS),
        finding.severity,
        cut(finding.text, TEXT_CHARS),
        tuple((cut(name, COUNT_CHARS), value) for name, value in finding.counts[:SHOWN_COUNTS]),
        # One more than is shown tells that there are more.
        tuple(cut(ticket, ID_CHARS) for ticket in finding.ticket_ids[: SHOWN_TICKETS + 1]),
    )


def cut(text: str, chars: int) -> str:
    """In one line, and no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"


def _headline(episode: Episode, kind: Kind, now: datetime) -> str:
    severity, text = episode.finding.severity, cut(episode.finding.text, TEXT_CHARS)
    lasted = age((episode.over_at or now) - episode.since)
    match kind:
        case Kind.WORSE:
            return f"{severity}, no longer a warning: {text}"
        case Kind.REMINDER:
            return f"{severity}, still, after {lasted}: {text}"
        case Kind.OVER:
            return f"OK again, after {lasted}. It was {severity}: {text}"
        case Kind.PASSED_BY:
            return f"OK again. For {lasted} it was {severity}: {text}"
        case _:
            return f"{severity}: {text}"


def _level(episode: Episode, kind: Kind) -> Level:
    if kind in (Kind.OVER, Kind.PASSED_BY):
        return Level.SUCCESS
    return Level.FAILURE if episode.finding.severity is Severity.ERROR else Level.WARNING


def _counts(finding: Finding) -> str:
    shown = bounded(finding).counts
    return ", ".join(f"{name} {value:.6g}" for name, value in shown)


def _tickets(finding: Finding) -> str:
    shown = bounded(finding).ticket_ids
    if not shown:
        return ""
    more = " and more" if len(shown) > SHOWN_TICKETS else ""
    return f"Tickets: {', '.join(shown[:SHOWN_TICKETS])}{more}"


def _run(run_id: str, ui_url: str) -> str:
    return f"{ui_url.rstrip('/')}/runs/{run_id}" if ui_url else f"Run {run_id}"


def _reference(subject: str, episode: Episode, kind: Kind, terms: Terms) -> str:
    nth = f"-{(terms.now - episode.since) // terms.reminder}" if kind is Kind.REMINDER else ""
    since = episode.since.astimezone(UTC)
    return f"{cut(subject, TITLE_CHARS)} {since:%Y%m%dT%H%M%SZ} {kind.value}{nth}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
