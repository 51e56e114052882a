"""JSON that one step hands to the next: the manifest, the run's counts, a checkpoint.

Steps may run in other processes, days apart and after an upgrade: unknown names are ignored, and
absent ones get their defaults, so a new field needs one. Must not know where the text is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.reconciliation import InventoryPart
from helpdesk_assets.model.state import Checkpoint, RunCounts


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Plain values for `json.dumps`; versions, which are most of them, are pairs."""
    return _to_plain(manifest)


def manifest_from_json(stored: Mapping[str, Any]) -> Manifest:
    """The manifest that `manifest_to_json` wrote."""
    return msgspec.convert(stored, Manifest)


def run_counts_to_json(facts: RunCounts) -> dict[str, Any]:
    """Plain values for `json.dumps`, the sample of missed updates included."""
    return _to_plain(facts)


def run_counts_from_json(stored: Mapping[str, Any]) -> RunCounts:
    """The counts that `run_counts_to_json` wrote."""
    return msgspec.convert(stored, RunCounts)


def to_text(checkpoint: Checkpoint) -> str:
    """A checkpoint as the state row stores it."""
    return msgspec.json.encode(checkpoint).decode()


def from_text(text: str | None) -> Checkpoint | None:
    """The checkpoint that `to_text` wrote; None without one."""
    return msgspec.json.decode(text, type=Checkpoint) if text else None


def part_to_text(part: InventoryPart) -> str:
    """The position of an unfinished inventory, as its table keeps it."""
    return msgspec.json.encode(part).decode()


def part_from_text(text: str | None) -> InventoryPart | None:
    """The position that `part_to_text` wrote; None if the text is none."""
    try:
        return msgspec.json.decode(text, type=InventoryPart) if text else None
    except msgspec.MsgspecError:
        return None


def _to_plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
