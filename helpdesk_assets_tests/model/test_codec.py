"""The manifest and the counts survive JSON, which may lack names or hold unknown ones."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.model.batch import Manifest, Mode, Version
from helpdesk_assets.model.codec import (
    manifest_from_json,
    manifest_to_json,
    run_counts_from_json,
    run_counts_to_json,
)
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.tickets import ApiUsage, BadTicket, Window
from helpdesk_assets.model.webhooks import MissedUpdate

NOON = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)

SMALL = Manifest(
    batch_id="20261101T120000Z_run1_0",
    run_id="run-1",
    mode=Mode.INCREMENTAL,
    reason="changes since the watermark",
    window=Window(NOON - timedelta(hours=2), NOON),
    served_at=NOON,
    advances_watermark=True,
    expected_version=4,
    initial_watermark=NOON - timedelta(hours=2),
    first_load=False,
    rows=2,
    pages=1,
    api=ApiUsage(calls=1, bytes_received=7000, retries=2, seconds_waited=1.5),
    versions=(Version("421370000000000001", "h1"), Version("421370000000000002", "h2")),
    staging=None,
    created_months=(NOON - timedelta(days=30), NOON - timedelta(days=1)),
    oldest_modified=NOON - timedelta(days=2),
    lag_p50=10.0,
    lag_p95=20.0,
    lag_max=30.0,
    cursor="c1",
    bad=(BadTicket("7", "modifiedTime", "is no time"),),
    bad_count=1,
    seconds=0.25,
)
LARGE = replace(
    SMALL,
    mode=Mode.FULL,
    window=Window(None, NOON),
    versions=None,
    staging="raw_ticket_changes__stg_x",
    initial_watermark=None,
    fallback=True,
)


def through_text(stored: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(stored))
    return read


@pytest.mark.parametrize("manifest", [SMALL, LARGE, replace(SMALL, versions=(), bad=(), rows=0)])
def test_manifest_round_trips(manifest: Manifest) -> None:
    assert manifest_from_json(through_text(manifest_to_json(manifest))) == manifest


def test_unknown_names_are_ignored_and_absent_ones_defaulted() -> None:
    stored = through_text(manifest_to_json(SMALL)) | {"unknown": 1}
    del stored["fallback"], stored["seconds"]
    assert manifest_from_json(stored) == replace(SMALL, seconds=0.0)


def test_run_counts_round_trip() -> None:
    missed = (MissedUpdate("7", NOON, "stale", 612.5),)
    facts = RunCounts(rows=40, inserted=1, unchanged=39, missed_total=1, missed=missed)
    assert run_counts_from_json(through_text(run_counts_to_json(facts))) == facts
    assert run_counts_from_json({"unknown": 1}) == RunCounts()
