"""Promise 3 beside other writers: rows of one key heal, whoever inserted them and whenever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.checks.evidence import CheckResult, Evidence
from helpdesk_assets.checks.repeated_rows import one_row_per_ticket
from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.operations import sync
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness

TABLES = ("tickets", "raw_ticket_changes", "missed_updates")


def judge(report: SyncReport) -> CheckResult:
    now = report.manifest.served_at
    return one_row_per_ticket(Evidence(report.manifest, report.facts, report.state, now))


def ids_of(harness: Harness) -> list[str]:
    return sorted(ticket.ticket_id for ticket in harness.simulator.truth())


def test_rows_doubled_between_runs_are_one_afterwards(harness: Harness) -> None:
    harness.sync()
    harness.simulator.change(10)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    before = {table: len(harness.rows(table)) for table in TABLES}
    for table in TABLES:
        harness.backend.double_rows(table)
    report = harness.sync()
    assert {each.table: each.removed for each in report.facts.repeated} == before
    assert {table: len(harness.rows(table)) for table in TABLES} == before
    harness.assert_equal()
    assert "WARN" in judge(report).severity
    assert not judge(report).passed
    assert judge(harness.sync()).passed


@pytest.mark.parametrize("phase", ["fetch", "store", "missed", "merge"])
def test_rows_doubled_during_a_run_are_one_afterwards(harness: Harness, phase: str) -> None:
    harness.sync()
    harness.simulator.change(5)
    harness.simulator.advance(SECONDS_PAST_GRACE)

    def interfere(done: str) -> None:
        if done == phase:
            harness.backend.double_rows("tickets", _run_id=None, _synced_by=None)

    report = harness.sync(on_phase=interfere)
    harness.assert_equal()
    assert "another program or a person" in judge(report).description


def test_rows_doubled_after_the_count_heal_next_time(harness: Harness) -> None:
    def interfere(done: str) -> None:
        if done == "close":
            harness.backend.double_rows("tickets")

    assert judge(harness.sync(on_phase=interfere)).passed
    assert len(harness.rows()) == 120
    harness.sync_and_verify()


def test_run_that_dies_before_healing_loses_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.sync()
    harness.backend.double_rows("tickets")

    def die(*_: Any) -> Any:
        raise WarehouseUnavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(sync, "heal_repeated_rows", die)
        with pytest.raises(WarehouseUnavailable):
            harness.sync()
    assert len(harness.rows()) == 120
    harness.sync_and_verify()


@pytest.mark.parametrize("mode", [RequestedMode.AUTO, RequestedMode.FULL])
def test_equal_rows_heal_in_every_mode(harness: Harness, mode: RequestedMode) -> None:
    harness.sync()
    harness.backend.double_rows("tickets")
    harness.deliver(harness.simulator.change(3))
    harness.sync(mode)
    harness.assert_equal()


def test_foreign_function_that_inserts_beside_the_sync(harness: Harness) -> None:
    """Its rows are of older versions than the sync's."""
    harness.sync()
    older = "2001-01-01T00:00:00+00:00"
    harness.backend.double_rows(
        "tickets", modifiedTime=older, _synced_by="webhook", _run_id="theirs", subject="old"
    )
    report = harness.sync_and_verify()
    (outcome,) = report.facts.repeated
    assert "webhook run theirs" in outcome.writers


def test_repair_heals_the_tickets_it_is_asked_for(harness: Harness) -> None:
    harness.sync()
    harness.backend.double_rows("tickets")
    report = harness.repair(ids_of(harness)[:3])
    assert (report.asked, report.unchanged) == (3, 3)
    harness.assert_equal()


def test_reconciliation_heals_what_it_repairs(harness: Harness) -> None:
    harness.sync()
    harness.backend.double_rows("tickets")
    harness.make_stale(ids_of(harness)[:1])
    harness.reconcile()
    assert len(harness.rows()) == 60


def test_backfill_of_a_span_heals(harness: Harness) -> None:
    harness.sync()
    harness.backend.double_rows("tickets")
    now = harness.simulator.clock().now
    harness.sync(since=now - timedelta(days=1), until=now - timedelta(hours=1))
    harness.assert_equal()
