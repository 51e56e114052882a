"""What a sensor remembers between two ticks, as the text that Dagster keeps for it.

Losing it loses no run and no ticket: the next tick begins anew, in silence, and a problem that
lasts is told by the next run that has it. The text has to stay short, since some of Dagster's
databases hold no more than 64 KB of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.alerts.incidents import NONE, Episode, Episodes, Told, Trying
from helpdesk_assets.alerts.message import bounded
from helpdesk_assets.checks.evidence import Severity

VERSION = 1
# At 2.5 kB each in the worst case, with two channels. There are hardly more checks and jobs.
MOST_EPISODES = 20
MOST_WAITED_FOR = 20


@dataclass(frozen=True, slots=True)
class Memory:
    """`cursors`: how far the runs have been read, by event type, in Dagster's own notation.
    `refused`: messages that a channel will never take, ever since."""

    cursors: Mapping[str, str]
    episodes: Episodes = field(default_factory=lambda: NONE)
    refused: int = 0


def to_text(memory: Memory) -> str:
    """The same memory is always the same text."""
    return json.dumps(
        {
            "version": VERSION,
            "cursors": dict(memory.cursors),
            "episodes": {subject: _episode(e) for subject, e in memory.episodes.items()},
            "refused": memory.refused,
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def from_text(text: str | None) -> Memory | None:
    """None where there is none, or none that this version wrote."""
    try:
        stored = json.loads(text or "null")
        if not isinstance(stored, dict) or stored.get("version") != VERSION:
            return None
        return Memory(
            cursors={str(name): str(cursor) for name, cursor in stored["cursors"].items()},
            episodes={
                subject: _episode_from(subject, e) for subject, e in stored["episodes"].items()
            },
            refused=int(stored["refused"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _episode(episode: Episode) -> dict[str, Any]:
    finding = bounded(episode.finding)
    return {
        "severity": finding.severity,
        "text": finding.text,
        "counts": [list(count) for count in finding.counts],
        "ticket_ids": list(finding.ticket_ids),
        "since": episode.since.isoformat(),
        "seen_at": episode.seen_at.isoformat(),
        "run_id": episode.run_id,
        "root_run_id": episode.root_run_id,
        "runs": episode.runs,
        "over_at": episode.over_at.isoformat() if episode.over_at else None,
        "waits_for": sorted(episode.waits_for)[:MOST_WAITED_FOR],
        "told": {n: [t.severity, t.at.isoformat()] for n, t in episode.told.items()},
        "trying": {n: [t.tries, t.again_at.isoformat()] for n, t in episode.trying.items()},
    }


def _episode_from(subject: str, stored: dict[str, Any]) -> Episode:
    return Episode(
        finding=Finding(
            subject,
            Severity(stored["severity"]),
            stored["text"],
            tuple((name, float(value)) for name, value in stored["counts"]),
            tuple(stored["ticket_ids"]),
        ),
        since=_moment(stored["since"]),
        seen_at=_moment(stored["seen_at"]),
        run_id=stored["run_id"],
        root_run_id=stored["root_run_id"],
        runs=stored["runs"],
        over_at=_moment(stored["over_at"]) if stored["over_at"] else None,
        waits_for=frozenset(stored["waits_for"]),
        told={
            name: Told(Severity(severity) if severity else None, _moment(at))
            for name, (severity, at) in stored["told"].items()
        },
        trying={
            name: Trying(int(tries), _moment(at)) for name, (tries, at) in stored["trying"].items()
        },
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
