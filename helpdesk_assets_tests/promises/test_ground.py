"""Somebody drops, empties, replaces or restores a table: the next run reads everything again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from helpdesk_assets.checks.evidence import CheckResult, Evidence
from helpdesk_assets.checks.tables import table_shrank
from helpdesk_assets.errors import UserError
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY

RAW, TICKETS = "raw_ticket_changes", "tickets"
Deed = Callable[[Harness], None]


def _live(harness: Harness, *, rounds: int = 2) -> None:
    """Sync a helpdesk on which time passes; what it holds in the middle is remembered."""
    harness.sync()
    for number in range(rounds):
        if number == rounds - 1:
            harness.backend.keep_copy(TICKETS)
        harness.simulator.advance(3600)
        harness.simulator.change(7, spread_seconds=7)
        harness.simulator.advance(SECONDS_PAST_GRACE)
        harness.sync()
    harness.simulator.advance(3600)


def _check(report: SyncReport) -> CheckResult:
    return table_shrank(Evidence(report.manifest, report.facts, report.state, datetime.now(UTC)))


def _drop(harness: Harness) -> None:
    harness.backend.drop_table(TICKETS)


def _drop_and_make_empty(harness: Harness) -> None:
    harness.backend.drop_table(TICKETS)
    harness.prepare_tables()


def _empty(harness: Harness) -> None:
    harness.delete_rows()


def _delete_some(harness: Harness) -> None:
    harness.delete_rows(sorted(harness.tickets())[:3])


def _replace_by_yesterday(harness: Harness) -> None:
    harness.backend.put_copy_back(TICKETS, in_place=False)


def _drop_history(harness: Harness) -> None:
    harness.backend.drop_table(RAW)


def _empty_history(harness: Harness) -> None:
    harness.backend.delete_rows(RAW, None)


DEEDS: list[tuple[Deed, str]] = [
    (_drop, "tickets was not there"),
    (_drop_and_make_empty, "had 0 rows, 60 fewer"),
    (_empty, "had 0 rows, 60 fewer"),
    (_delete_some, "had 57 rows, 3 fewer"),
    (_replace_by_yesterday, "made anew"),
    (_drop_history, "raw_ticket_changes was not there"),
    (_empty_history, "raw_ticket_changes was emptied"),
]


def _assert_healed(harness: Harness, deed: Deed, reason: str) -> None:
    _live(harness)
    deed(harness)
    harness.simulator.change(2, spread_seconds=2)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert (report.manifest.mode, report.facts.missed_total <= 2) == (Mode.FULL, True)
    assert reason in report.manifest.reason
    assert report.manifest.ground_reason == report.manifest.reason
    assert report.result()["reason"] == report.manifest.reason
    state = harness.state()
    assert state is not None
    assert reason in (state.reason or "")
    found = _check(report)
    assert not found.passed
    assert reason in found.description
    assert "This run has read every ticket again" in found.description
    harness.assert_equal()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    after = harness.sync()
    assert after.manifest.mode is Mode.INCREMENTAL
    assert after.manifest.ground_reason is None
    assert _check(after).passed


@pytest.mark.parametrize(("deed", "reason"), DEEDS)
def test_changed_table_is_read_again_and_told(harness: Harness, deed: Deed, reason: str) -> None:
    _assert_healed(harness, deed, reason)


@pytest.mark.slow
@ON_BIGQUERY
@pytest.mark.parametrize(("deed", "reason"), DEEDS)
def test_changed_table_is_noticed_on_bigquery(harness: Harness, deed: Deed, reason: str) -> None:
    _assert_healed(harness, deed, reason)


@pytest.mark.slow
@ON_BIGQUERY
def test_dropped_column_is_filled_again_on_bigquery(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in goes on to list a dropped column, so its metadata is told without it."""
    _live(harness)
    harness.backend.empty_column("subject", sorted(harness.tickets()))
    columns = Schema.columns

    def without_subject(self: Schema, spec: TableSpec) -> dict[str, str]:
        return {name: kind for name, kind in columns(self, spec).items() if name != "subject"}

    monkeypatch.setattr(Schema, "columns", without_subject)
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    assert report.manifest.ground_reason == "the table tickets had no column subject"
    assert not _check(report).passed
    harness.assert_equal()


def _restore_in_place(harness: Harness) -> None:
    harness.backend.put_copy_back(TICKETS, in_place=True)


def _update_in_place(harness: Harness) -> None:
    changed = [row["ticket_id"] for row in harness.rows(RAW)][-7:]
    harness.make_stale(changed)


def _assert_behind_is_healed(harness: Harness, deed: Deed) -> None:
    _live(harness)
    deed(harness)
    red = harness.sync()
    assert (red.manifest.mode, red.facts.behind) == (Mode.INCREMENTAL, 7)
    assert not _check(red).passed
    assert "The next run reads every ticket again" in _check(red).description
    report = harness.sync()
    assert (report.manifest.mode, report.facts.behind) == (Mode.FULL, 0)
    assert "older versions of 7 tickets" in report.manifest.reason
    harness.assert_equal()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    after = harness.sync()
    assert (after.manifest.mode, _check(after).passed) == (Mode.INCREMENTAL, True)


@pytest.mark.parametrize("deed", [_restore_in_place, _update_in_place])
def test_rows_put_back_in_place_lead_to_full(harness: Harness, deed: Deed) -> None:
    _assert_behind_is_healed(harness, deed)


@pytest.mark.slow
@ON_BIGQUERY
def test_rows_put_back_are_noticed_on_bigquery(harness: Harness) -> None:
    _assert_behind_is_healed(harness, _restore_in_place)


def test_erased_tickets_lead_to_one_full_load(harness: Harness) -> None:
    """The helpdesk has them no more, and their versions still stand in raw_ticket_changes."""
    _live(harness)
    erased = [row["ticket_id"] for row in harness.rows(RAW)][-3:]
    harness.simulator.delete(ids=erased)
    harness.delete_rows(erased)
    modes = []
    for _ in range(4):
        harness.simulator.advance(SECONDS_PAST_GRACE)
        modes.append(harness.sync().manifest.mode)
    assert modes == [Mode.FULL, *[Mode.INCREMENTAL] * 3]


def test_rows_lost_during_a_run_lead_to_full(harness: Harness) -> None:
    _live(harness)

    def lose(phase: str) -> None:
        if phase == "merge":
            _delete_some(harness)

    report = harness.sync(on_phase=lose)
    assert (report.manifest.mode, report.facts.rows_lost) == (Mode.INCREMENTAL, 3)
    assert not _check(report).passed
    healed = harness.sync()
    assert (healed.manifest.mode, _check(healed).passed) == (Mode.FULL, False)
    harness.assert_equal()
    assert harness.sync().manifest.mode is Mode.INCREMENTAL


def test_full_load_that_failed_is_tried_again(harness: Harness) -> None:
    _live(harness)
    _drop(harness)

    def fail(phase: str) -> None:
        if phase == "merge":
            raise RuntimeError("killed")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="killed"):
            harness.sync(on_phase=fail)
    report = harness.sync()
    assert (report.manifest.mode, _check(report).passed) == (Mode.FULL, False)
    harness.assert_equal()


def test_incremental_run_over_a_changed_table_is_refused(harness: Harness) -> None:
    _live(harness)
    _delete_some(harness)
    before = harness.state()
    with pytest.raises(UserError, match=r"3 fewer.*mode auto or full"):
        harness.sync(RequestedMode.INCREMENTAL)
    assert harness.state() == before


def test_removed_copies_are_no_loss(harness: Harness) -> None:
    _live(harness)
    state = harness.state()
    assert state is not None
    doubled = replace(state.facts, rows=state.facts.rows + 2, repeated_keys=2)
    assert doubled.distinct_rows == state.facts.rows


def test_range_over_a_dropped_table_hides_nothing(harness: Harness) -> None:
    _live(harness)
    _drop(harness)
    now = harness.simulator.clock().now
    harness.sync(since=now.replace(minute=0), until=now)
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    harness.assert_equal()
