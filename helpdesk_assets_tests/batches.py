"""Batches without a warehouse, for tests that use only the manifest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.model.batch import Manifest, Mode, Version
from helpdesk_assets.model.tickets import ApiUsage, Window

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SMALL = Manifest(
    batch_id="20261101T120000Z_run1_0",
    run_id="run-1",
    mode=Mode.INCREMENTAL,
    reason="changes since the watermark",
    window=Window(NOON - timedelta(hours=2), NOON),
    served_at=NOON,
    advances_watermark=True,
    expected_version=3,
    initial_watermark=NOON - timedelta(hours=2),
    first_load=False,
    rows=3,
    pages=1,
    api=ApiUsage(calls=1),
    versions=(Version("7", "h1"), Version("7", "h2"), Version("8", "h3")),
    staging=None,
    read_since=NOON - timedelta(minutes=1),
)
