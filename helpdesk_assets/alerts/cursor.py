"""What the alert sensor remembers between two ticks, as the text that Dagster stores for it.

Losing it loses no run and no ticket: the next tick starts afresh without sending anything, and the
next run that still has a problem reports it. The text has to stay short: some of Dagster's
databases hold no more than 64 KB of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from helpdesk_assets.alerts.incidents import Incident, Incidents
from helpdesk_assets.alerts.message import truncated

# At 2 kB each in the worst case, with two channels. There are hardly more checks and jobs.
MAX_INCIDENTS = 20
# For all incidents together: 500 months of a backfill.
MAX_UNCOVERED_CHARS = 16_000
# Stands for what was cut. No run covers it, so what was cut is never told as made up for.
CUT = "…"


@dataclass(frozen=True, slots=True)
class SensorState:
    """What the alert sensor remembers from tick to tick.

    Attributes:
        cursors: how far the runs have been read, by event type, in Dagster's own notation.
        incidents: the open incidents and their last notices.
        refused: how many messages channels have refused for good so far.
    """

    cursors: Mapping[str, str]
    incidents: Incidents = field(default_factory=dict)
    refused: int = 0


def to_text(state: SensorState) -> str:
    """The state as JSON; equal states give equal texts."""
    short: dict[str, Incident] = {}
    room = MAX_UNCOVERED_CHARS
    for subject, incident in state.incidents.items():
        short[subject], room = _shortened(incident, room)
    return msgspec.json.encode(replace(state, incidents=short), order="sorted").decode()


def from_text(text: str | None) -> SensorState | None:
    """The state that `to_text` wrote; None without one, or if the text is something else."""
    try:
        return msgspec.json.decode(text or "", type=SensorState)
    except msgspec.DecodeError:
        return None


def _shortened(incident: Incident, room: int) -> tuple[Incident, int]:
    """Returns the incident without what no message shows, and what is left of the room."""
    finding = replace(truncated(incident.finding), subject=incident.finding.subject)
    kept: list[str] = []
    for name in sorted(incident.uncovered):
        if len(name) > room:
            kept.append(CUT)
            break
        kept.append(name)
        room -= len(name)
    return replace(incident, finding=finding, uncovered=frozenset(kept)), room
