"""What one step tells the next, as JSON: the manifest of a batch, and what the warehouse counted.

Steps may run in other processes, days apart and after an upgrade, so unknown names are passed over
and absent ones get their defaults. Must not know where the text is kept in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from helpdesk_assets.model.batch import Manifest, Mode, Version
from helpdesk_assets.model.state import Checkpoint, RunCounts
from helpdesk_assets.model.tickets import ApiUsage, BadTicket, Window
from helpdesk_assets.model.webhooks import WEBHOOK_TIME_FIELDS, MissedUpdate, WebhookCounts


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Plain values that `json.dumps` takes. Versions are written as pairs: they are most of it."""
    known = {name: write(getattr(manifest, name)) for name, (write, _) in _FIELD_CODECS.items()}
    plain = {
        field.name: getattr(manifest, field.name)
        for field in fields(Manifest)
        if field.name not in _FIELD_CODECS
    }
    return plain | known


def manifest_from_json(stored: Mapping[str, Any]) -> Manifest:
    names = {field.name for field in fields(Manifest)} & stored.keys()
    values = {
        name: _FIELD_CODECS[name][1](stored[name]) if name in _FIELD_CODECS else stored[name]
        for name in names
    }
    return Manifest(**values)


def run_counts_to_json(facts: RunCounts) -> dict[str, Any]:
    """As `manifest_to_json`; the missed updates, at most 100, are part of it."""
    return asdict(facts) | {
        "missed": [_missed_to(missed) for missed in facts.missed],
        "missed_since": _text(facts.missed_since),
        "webhooks": _webhooks_to(facts.webhooks),
    }


def run_counts_from_json(stored: Mapping[str, Any]) -> RunCounts:
    names = {field.name for field in fields(RunCounts)} & stored.keys()
    values = {name: stored[name] for name in names}
    values["missed"] = tuple(_missed_from(row) for row in stored.get("missed", ()))
    values["missed_since"] = _time(stored.get("missed_since"))
    values["webhooks"] = _webhooks_from(stored.get("webhooks"))
    return RunCounts(**values)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _window_to(window: Window) -> dict[str, str | None]:
    return {"since": _text(window.since), "until": _text(window.until)}


def _window_from(stored: Mapping[str, Any]) -> Window:
    return Window(_time(stored["since"]), datetime.fromisoformat(stored["until"]))


def _versions_to(versions: tuple[Version, ...] | None) -> list[list[str]] | None:
    return None if versions is None else [[v.ticket_id, v.content_hash] for v in versions]


def _versions_from(stored: list[list[str]] | None) -> tuple[Version, ...] | None:
    return None if stored is None else tuple(Version(*pair) for pair in stored)


def _missed_to(missed: MissedUpdate) -> dict[str, Any]:
    return asdict(missed) | {"modified_time": missed.modified_time.isoformat()}


def _missed_from(stored: Mapping[str, Any]) -> MissedUpdate:
    return MissedUpdate(
        ticket_id=stored["ticket_id"],
        modified_time=datetime.fromisoformat(stored["modified_time"]),
        reason=stored["reason"],
        lag_seconds=stored["lag_seconds"],
    )


def _webhooks_to(webhooks: WebhookCounts | None) -> dict[str, Any] | None:
    if webhooks is None:
        return None
    times = {name: _text(getattr(webhooks, name)) for name in WEBHOOK_TIME_FIELDS}
    return asdict(webhooks) | times


def _webhooks_from(stored: Mapping[str, Any] | None) -> WebhookCounts | None:
    if stored is None:
        return None
    names = {field.name for field in fields(WebhookCounts)} & stored.keys()
    values: dict[str, Any] = {name: stored[name] for name in names}
    return WebhookCounts(**values | {name: _time(stored.get(name)) for name in WEBHOOK_TIME_FIELDS})


# Fields of a manifest that JSON cannot hold as they are: how each is written and read.
_FIELD_CODECS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "mode": (str, Mode),
    "window": (_window_to, _window_from),
    "served_at": (_text, _time),
    "initial_watermark": (_text, _time),
    "created_from": (_text, _time),
    "created_to": (_text, _time),
    "api": (asdict, lambda stored: ApiUsage(**stored)),
    "versions": (_versions_to, _versions_from),
    "bad": (
        lambda bad: [asdict(ticket) for ticket in bad],
        lambda stored: tuple(BadTicket(**ticket) for ticket in stored),
    ),
}


# Fields of `Checkpoint` that are times.
_TIMES = ("saved_at", "since")


def to_text(checkpoint: Checkpoint) -> str:
    plain = asdict(checkpoint)
    times = {name: value.isoformat() for name in _TIMES if (value := plain[name])}
    return json.dumps({**plain, **times, "mode": checkpoint.mode.value})


def from_text(text: str | None) -> Checkpoint | None:
    """None too for what another version of this program has noted otherwise: the reading then
    begins anew, which loses no ticket."""
    if not text:
        return None
    stored: dict[str, Any] = json.loads(text)
    if not {field.name for field in fields(Checkpoint)} <= stored.keys():
        return None
    times = {name: datetime.fromisoformat(stored[name]) for name in _TIMES if stored[name]}
    known = {field.name: stored[field.name] for field in fields(Checkpoint)}
    bad = tuple(BadTicket(**ticket) for ticket in stored["bad"])
    return Checkpoint(**{**known, **times, "mode": Mode(stored["mode"]), "bad": bad})
