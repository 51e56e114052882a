"""The reconciliation in Dagster: its job, metadata, check and alert."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.alerts.run_reports import AlertScope, Watcher, build_report
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of


def reconcile(harness: DagsterHarness, **config: Any) -> dg.ExecuteInProcessResult:
    from helpdesk_assets.definitions import defs

    return defs.resolve_job_def("helpdesk_reconcile").execute_in_process(
        instance=harness.instance,
        run_config={"ops": {"ticket_inventory": {"config": config}}},
        raise_on_error=False,
    )


def delete_rows(harness: DagsterHarness, ids: Sequence[str]) -> None:
    table = harness.warehouse.dataset.table(tables.TICKETS.name)
    which = Parameter("ids", ColumnType.STRING, tuple(ids))
    statement = Query(f"DELETE FROM {table} WHERE ticket_id IN UNNEST(@ids)", (which,))
    harness.warehouse.run(statement, run_id=uuid.uuid4().hex, step="tamper")


def finding(harness: DagsterHarness, run_id: str) -> Finding:
    """Return what the alert sensor finds in the run."""
    from helpdesk_assets.definitions import assets, checks, jobs

    (end,) = harness.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)
    report = build_report(harness.instance, end, Watcher(AlertScope.of([*assets, *checks], jobs)))
    assert report is not None
    (found,) = report.checks
    return found


@pytest.fixture
def synced(harness: DagsterHarness) -> DagsterHarness:
    assert harness.sync().success
    harness.helpdesk.advance(3600)
    return harness


def test_repairs_are_published_and_alerted(synced: DagsterHarness) -> None:
    lost = sorted(ticket.ticket_id for ticket in synced.helpdesk.truth())[:3]
    delete_rows(synced, lost)
    result = reconcile(synced)
    assert result.success
    assert synced.stored() == synced.truth()
    asset_metadata = synced.asset_metadata("ticket_inventory")
    counts = ("tickets_listed", "absent", "stale", "gone", "newer_here", "repaired", "left")
    assert [asset_metadata[name] for name in counts] == [40, 3, 0, 0, 0, 3, 0]
    assert f"| absent | repaired | 3 | {', '.join(lost)} |" in asset_metadata["differences"]
    check = checks_of(result)["inventory_matches"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    found = finding(synced, result.run_id)
    assert found.severity is Severity.WARN
    assert found.subject == "ticket_inventory.inventory_matches"
    assert "3 tickets were missing, out of date or wrongly marked as deleted." in found.text
    assert (dict(found.counts)["repaired"], sorted(found.ticket_ids)) == (3.0, lost)

    result = reconcile(synced)
    assert checks_of(result)["inventory_matches"].passed
    assert finding(synced, result.run_id).severity is None


def test_job_takes_its_share_of_the_limits(
    synced: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def record(settings: Settings) -> Helpdesk:
        opened.append(settings.helpdesk_calls_per_minute)
        return make_helpdesk(settings)

    monkeypatch.setenv("HELPDESK_CALLS_PER_MINUTE", "1000")
    monkeypatch.setattr("helpdesk_assets.defs.resources.helpdesk.make_helpdesk", record)
    assert reconcile(synced).success
    assert opened == [500]


def test_refused_delete_share_is_an_error_until_allowed(synced: DagsterHarness) -> None:
    gone = synced.helpdesk.delete(2)
    result = reconcile(synced)
    assert result.success
    check = checks_of(result)["inventory_matches"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "2 of 40 tickets are not listed, more than the 1" in (check.description or "")
    assert synced.asset_metadata("ticket_inventory")["left"] == 2

    assert reconcile(synced, max_delete_share=0.5).success
    marked = {row["ticket_id"] for row in synced.rows("tickets") if row["deletedTime"]}
    assert marked == set(gone)


def test_dry_run_repairs_nothing(synced: DagsterHarness) -> None:
    delete_rows(synced, [next(synced.helpdesk.truth()).ticket_id])
    result = reconcile(synced, dry_run=True)
    assert "1 ticket differs and was left alone" in (
        checks_of(result)["inventory_matches"].description or ""
    )
    assert len(synced.rows("tickets")) == 39


def test_before_the_first_sync_says_what_to_do(harness: DagsterHarness) -> None:
    result = reconcile(harness)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert "no watermark yet" in (data.description or "")
