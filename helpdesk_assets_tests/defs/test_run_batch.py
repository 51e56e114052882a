"""A step works on the batch of its own run or of a run it re-executes, and on no other.

Otherwise it fails and says what to do: having found nothing is not having nothing to do.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.defs import run_batch
from helpdesk_assets.defs.assets import raw_ticket_changes
from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequests
from helpdesk_assets_tests.defs.conftest import DagsterHarness, checks_of, failure_text
from helpdesk_assets_tests.defs.test_reexecution import (
    before,
    reexecute,
    reexecute_steps,
    refuse,
    run,
)

pytestmark = pytest.mark.slow

CHANGED_SETTINGS = {
    "SYNC_NAME": "brand_two",
    "BIGQUERY_DATASET": "elsewhere",
    "BIGQUERY_LOCATION": "europe-west3",
}


def warehouse_rows(harness: DagsterHarness) -> list[Any]:
    """Return what a step may change, but for raw_ticket_changes."""
    names = ("tickets", "missed_updates", "sync_state")
    existing = {table.table_id for table in harness.warehouse.list_tables()}
    return [harness.rows(name) if name in existing else None for name in names]


def unmerged_run(harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run until the batch is stored; returns the run's id."""
    with monkeypatch.context() as plug:
        before(MergeRequests, "missed")(plug)
        success, dead = run(harness)
    assert not success
    return dead


def change_later(harness: DagsterHarness) -> None:
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(3)
    harness.helpdesk.advance(600)


@pytest.mark.parametrize("fetched", [False, True])
def test_step_alone_takes_no_batch_of_another_run(harness: DagsterHarness, fetched: bool) -> None:
    if fetched:
        harness.sync()
        change_later(harness)
        assert harness.materialize("raw_ticket_changes").success
    unchanged = warehouse_rows(harness)
    for asset in ASSET_NAMES[1:]:
        result = harness.materialize(asset)
        assert not result.success
        assert "has no batch to work on" in failure_text(result)
        assert f"Materialise {', '.join(ASSET_NAMES)} in one run" in failure_text(result)
    assert warehouse_rows(harness) == unchanged


def test_fetched_batch_that_nobody_merged_is_fetched_again(harness: DagsterHarness) -> None:
    harness.sync()
    change_later(harness)
    assert harness.materialize("raw_ticket_changes").success
    assert harness.sync().success
    assert harness.stored() == harness.truth()
    assert len(harness.missed()) == 3


def test_steps_reexecuted_one_by_one_equal_a_run(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(harness)[0]
    change_later(harness)
    last = unmerged_run(harness, monkeypatch)
    for step in ASSET_NAMES[1:]:
        result = reexecute_steps(harness, last, step)
        assert result.success
        last = result.run_id
    assert harness.stored() == harness.truth()
    assert len(harness.missed()) == 3
    assert harness.asset_metadata("sync_watermark")["rows_updated"] == 3


def test_merged_batch_is_found_after_another_run_has_merged(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest materialisation of tickets_table is then another run's."""
    assert run(harness)[0]
    change_later(harness)
    dead = unmerged_run(harness, monkeypatch)
    merged = reexecute_steps(harness, dead, "missed_updates", "tickets_table")
    assert merged.success
    harness.materialize("raw_ticket_changes", "missed_updates", "tickets_table")
    assert reexecute_steps(harness, merged.run_id, "sync_watermark").success
    assert harness.stored() == harness.truth()


def test_watermark_does_not_advance_past_an_unmerged_batch(harness: DagsterHarness) -> None:
    harness.sync()
    before_it = harness.watermark()
    change_later(harness)
    result = harness.materialize("raw_ticket_changes", "sync_watermark")
    assert not result.success
    assert "Materialise missed_updates and tickets_table in the same run" in failure_text(result)
    assert harness.watermark() == before_it


def test_batch_absent_from_the_log_is_not_nothing_to_do(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a storage that drops the events of a wiped asset."""
    harness.sync()
    change_later(harness)
    unchanged = warehouse_rows(harness)
    monkeypatch.setattr(raw_ticket_changes, "fetched", lambda manifest: {"rows": manifest.rows})
    result = harness.sync()
    assert not result.success
    assert "is not in Dagster's event log" in failure_text(result)
    assert warehouse_rows(harness) == unchanged


def test_failed_fetch_is_not_replaced_by_an_older_batch(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run has a batch; the run that re-executes it fetched anew, and failed."""
    _, first = run(harness)
    change_later(harness)
    with monkeypatch.context() as plug:
        plug.setattr(raw_ticket_changes, "fetch_batch", refuse)
        second = reexecute_steps(harness, first, *ASSET_NAMES).run_id
    result = reexecute_steps(harness, second, "tickets_table")
    assert not result.success
    assert f"The batch of run {second} is not in Dagster's event log" in failure_text(result)


@pytest.mark.parametrize("name", CHANGED_SETTINGS)
def test_batch_of_other_settings_is_refused(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dead = unmerged_run(harness, monkeypatch)
    monkeypatch.setenv(name, CHANGED_SETTINGS[name])
    result = reexecute(harness, dg.ReexecutionOptions.from_failure(dead, harness.instance))
    assert not result.success
    assert "was fetched for SYNC_NAME tickets and dataset" in failure_text(result)
    assert CHANGED_SETTINGS[name] in failure_text(result)
    assert not harness.rows("sync_state")


def test_checks_alone_judge_the_run_that_closed_last(harness: DagsterHarness) -> None:
    checks = harness.evaluate_checks("read_whole")
    assert not checks.success
    assert "has no batch to work on" in failure_text(checks)
    harness.sync()
    change_later(harness)
    # Not this one, which nobody has merged.
    assert harness.materialize("raw_ticket_changes").success
    checks = harness.evaluate_checks("read_whole")
    assert checks.success
    assert checks_of(checks)["read_whole"].passed


def test_each_step_reads_the_event_log_once(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = run_batch._read_steps

    def counted(instance: dg.DagsterInstance, run_id: str) -> run_batch.RunSteps:
        read.append(run_id)
        return whole(instance, run_id)

    monkeypatch.setattr(run_batch, "_read_steps", counted)

    result = harness.sync()

    assert result.success
    # The steps after the first, and the step of the checks.
    assert read == [result.run_id] * len(ASSET_NAMES)
