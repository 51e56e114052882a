"""Every asset and job that writes tickets takes the lease around its write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from helpdesk_assets.warehouse.stores import writer_lease
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.defs.conftest import DagsterHarness, failure_text
from helpdesk_assets_tests.defs.test_backfill import backfill, fullest_months
from helpdesk_assets_tests.defs.test_reconciliation import reconcile
from helpdesk_assets_tests.leases import WatchedWrites

THREE = {"tickets", "raw_ticket_changes", "missed_updates"}


def _sync(harness: DagsterHarness) -> bool:
    harness.helpdesk.change(3)
    harness.helpdesk.advance(700)
    return harness.sync().success


def _backfill(harness: DagsterHarness) -> bool:
    return backfill(harness, fullest_months(harness, 1)[0]).success


def _reconcile(harness: DagsterHarness) -> bool:
    return reconcile(harness).success


@pytest.mark.parametrize(
    ("job", "purpose", "written"),
    [
        (_sync, "sync", {*THREE, "sync_state"}),
        (_backfill, "backfill", THREE - {"missed_updates"}),
        (_reconcile, "repair", THREE - {"missed_updates"}),
    ],
)
def test_each_job_writes_with_the_lease(
    harness: DagsterHarness,
    job: Callable[[DagsterHarness], bool],
    purpose: str,
    written: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness.helpdesk.advance(700)
    assert harness.sync().success
    if job is not _sync:  # which would read everything again, and judge nothing
        table = harness.warehouse.dataset.table_id("tickets")
        harness.warehouse._client.query(f"DELETE FROM `{table}` WHERE TRUE").result()
    watched = WatchedWrites(monkeypatch)
    assert job(harness)
    assert watched.unleased == []
    assert written <= watched.tables
    assert purpose in watched.purposes


@pytest.mark.slow
def test_step_that_waited_in_vain_names_the_holder(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert harness.sync().success
    monkeypatch.setattr(writer_lease, "DEFAULT_WAIT", timedelta(0))
    monkeypatch.setattr("helpdesk_assets.defs.assets.factory.RETRY_POLICY", None)
    from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery

    with connected(HelpdeskBigQuery().settings()) as tables, tables.lease("drain", run_id="other"):
        result = harness.sync()
    assert not result.success
    assert "drain run other on " in failure_text(result)
