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
from helpdesk_assets.alerts.incidents import EMPTY, Incident, Incidents, LastNotice, RetryState
from helpdesk_assets.alerts.message import truncated
from helpdesk_assets.checks.evidence import Severity

VERSION = 1
# At 2.5 kB each in the worst case, with two channels. There are hardly more checks and jobs.
MAX_INCIDENTS = 20
MAX_UNCOVERED = 20


@dataclass(frozen=True, slots=True)
class SensorState:
    """`cursors`: how far the runs have been read, by event type, in Dagster's own notation.
    `refused`: messages that a channel will never take, ever since."""

    cursors: Mapping[str, str]
    incidents: Incidents = field(default_factory=lambda: EMPTY)
    refused: int = 0


def to_text(state: SensorState) -> str:
    """The same memory is always the same text."""
    return json.dumps(
        {
            "version": VERSION,
            "cursors": dict(state.cursors),
            "episodes": {subject: _incident_to_json(e) for subject, e in state.incidents.items()},
            "refused": state.refused,
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def from_text(text: str | None) -> SensorState | None:
    """None where there is none, or none that this version wrote."""
    try:
        stored = json.loads(text or "null")
        if not isinstance(stored, dict) or stored.get("version") != VERSION:
            return None
        return SensorState(
            cursors={str(name): str(cursor) for name, cursor in stored["cursors"].items()},
            incidents={
                subject: _incident_from_json(subject, e)
                for subject, e in stored["episodes"].items()
            },
            refused=int(stored["refused"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _incident_to_json(incident: Incident) -> dict[str, Any]:
    finding = truncated(incident.finding)
    return {
        "severity": finding.severity,
        "text": finding.text,
        "counts": [list(count) for count in finding.counts],
        "ticket_ids": list(finding.ticket_ids),
        "since": incident.since.isoformat(),
        "seen_at": incident.seen_at.isoformat(),
        "run_id": incident.run_id,
        "root_run_id": incident.root_run_id,
        "runs": incident.runs,
        "over_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "waits_for": sorted(incident.uncovered)[:MAX_UNCOVERED],
        "told": {n: [t.severity, t.at.isoformat()] for n, t in incident.last_notice.items()},
        "trying": {
            n: [t.attempts, t.next_attempt_at.isoformat()] for n, t in incident.retry.items()
        },
    }


def _incident_from_json(subject: str, stored: dict[str, Any]) -> Incident:
    return Incident(
        finding=Finding(
            subject,
            Severity(stored["severity"]),
            stored["text"],
            tuple((name, float(value)) for name, value in stored["counts"]),
            tuple(stored["ticket_ids"]),
        ),
        since=_parse_time(stored["since"]),
        seen_at=_parse_time(stored["seen_at"]),
        run_id=stored["run_id"],
        root_run_id=stored["root_run_id"],
        runs=stored["runs"],
        resolved_at=_parse_time(stored["over_at"]) if stored["over_at"] else None,
        uncovered=frozenset(stored["waits_for"]),
        last_notice={
            name: LastNotice(Severity(severity) if severity else None, _parse_time(at))
            for name, (severity, at) in stored["told"].items()
        },
        retry={
            name: RetryState(int(attempts), _parse_time(at))
            for name, (attempts, at) in stored["trying"].items()
        },
    )


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
