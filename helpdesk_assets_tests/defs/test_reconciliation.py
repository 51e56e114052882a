"""A reconciliation as Dagster shows it: the job, its metadata, its check, and who is told."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.alerts.findings import Finding
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.alerts.run_reports import Ours, report_of
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.defs.conftest import World, checks_of


def reconcile(world: World, **config: Any) -> dg.ExecuteInProcessResult:
    from helpdesk_assets.definitions import defs

    return defs.resolve_job_def("helpdesk_reconcile").execute_in_process(
        instance=world.instance,
        run_config={"ops": {"ticket_inventory": {"config": config}}},
        raise_on_error=False,
    )


def lose(world: World, ids: Sequence[str]) -> None:
    table = world.warehouse.dataset.table(tables.TICKETS.name)
    which = Parameter("ids", ColumnType.STRING, tuple(ids))
    statement = Query(f"DELETE FROM {table} WHERE ticket_id IN UNNEST(@ids)", (which,))
    world.warehouse.run(statement, run_id=uuid.uuid4().hex, step="tamper")


def finding(world: World, run_id: str) -> Finding:
    """What the alerts' sensor makes of the run."""
    from helpdesk_assets.definitions import assets, checks, jobs

    (end,) = world.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)
    report = report_of(world.instance, end, Ours.of([*assets, *checks], jobs), None)
    assert report is not None
    (found,) = report.checks
    return found


@pytest.fixture
def synced(world: World) -> World:
    assert world.sync().success
    world.helpdesk.advance(3600)
    return world


def test_what_was_repaired_is_published_and_people_are_told(synced: World) -> None:
    lost = sorted(ticket.ticket_id for ticket in synced.helpdesk.truth())[:3]
    lose(synced, lost)
    result = reconcile(synced)
    assert result.success
    assert synced.stored() == synced.truth()
    told = synced.told("ticket_inventory")
    counts = ("tickets_listed", "absent", "stale", "gone", "newer_here", "repaired", "left")
    assert [told[name] for name in counts] == [40, 3, 0, 0, 0, 3, 0]
    assert f"| absent | repaired | 3 | {', '.join(lost)} |" in told["differences"]
    check = checks_of(result)["inventory_matches"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    found = finding(synced, result.run_id)
    assert found.severity is Severity.WARN
    assert found.subject == "ticket_inventory.inventory_matches"
    assert "should have seen it: 3." in found.text
    assert (dict(found.counts)["repaired"], sorted(found.ticket_ids)) == (3.0, lost)

    result = reconcile(synced)
    assert checks_of(result)["inventory_matches"].passed
    assert finding(synced, result.run_id).severity is None


def test_a_refused_share_is_an_error_until_somebody_allows_it(synced: World) -> None:
    gone = synced.helpdesk.delete(2)
    result = reconcile(synced)
    assert result.success
    check = checks_of(result)["inventory_matches"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "2 of 40 tickets are not listed, more than the 1" in (check.description or "")
    assert synced.told("ticket_inventory")["left"] == 2

    assert reconcile(synced, most_gone_share=0.5).success
    marked = {row["ticket_id"] for row in synced.rows("tickets") if row["deletedTime"]}
    assert marked == set(gone)


def test_a_look_repairs_nothing(synced: World) -> None:
    lose(synced, [next(synced.helpdesk.truth()).ticket_id])
    result = reconcile(synced, only_look=True)
    assert "only a look was asked for: 1." in (
        checks_of(result)["inventory_matches"].description or ""
    )
    assert len(synced.rows("tickets")) == 39


def test_before_the_first_sync_it_says_what_to_do(world: World) -> None:
    result = reconcile(world)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert "no watermark yet" in (data.description or "")
