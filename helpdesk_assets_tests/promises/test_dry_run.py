"""A dry run says what the sync right after it does, and writes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import AccountMismatch, HelpdeskAssetsError, WarehouseRefused
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.preview import SyncPreview
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits
from helpdesk_assets_tests.backends import InMemoryBackend
from helpdesk_assets_tests.conformance.vendors import VENDORS, ZENDESK, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness
from helpdesk_assets_tests.promises.test_interrupted import interrupt

FULL = RequestedMode.FULL


def expect_told(preview: SyncPreview, report: SyncReport) -> None:
    """Fail unless the run has done what the dry run before it said."""
    manifest = report.manifest
    said = (preview.mode, preview.reason, preview.since)
    assert said == (manifest.mode, manifest.reason, manifest.window.since)
    if preview.is_read:
        assert preview.until == manifest.window.until
        assert preview.tickets == manifest.rows
        assert preview.calls == manifest.api.calls
    else:
        assert preview.until is None
    steps = [each.step for each in preview.statements]
    for step, written in (("raw_ticket_changes", report.stored), ("tickets", report.merged)):
        assert step in steps or not written.changed


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_changes_are_told_as_they_are_then_read(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(80, vendor)
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.change(7, spread_seconds=30)
    harness.simulator.create(2)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.freeze()
    preview = harness.preview()
    assert preview.mode is Mode.INCREMENTAL
    assert preview.is_read
    assert preview.tickets is not None
    assert preview.tickets >= 9
    expect_told(preview, harness.sync())
    harness.assert_equal()


def test_quiet_run_is_told_to_have_one_statement(harness: Harness) -> None:
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.freeze()
    preview = harness.preview(webhooks_enabled=False)
    assert (preview.tickets, [each.step for each in preview.statements]) == (0, ["sync_state"])
    expect_told(preview, harness.sync(webhooks_enabled=False))


def test_first_load_is_told_without_being_read(harness: Harness) -> None:
    harness.simulator.reset_counters()
    preview = harness.preview()
    assert harness.simulator.counters().total == 0
    assert (preview.mode, preview.reason) == (Mode.FULL, "first load")
    assert (preview.tickets, preview.calls) == (None, None)
    assert {each.unknown for each in preview.statements} == {
        f"the table {name} does not exist yet"
        for name in ("raw_ticket_changes", "tickets", "sync_state")
    }
    assert (preview.bytes_billed, preview.is_lower_bound) == (0, True)
    expect_told(preview, harness.sync())


@pytest.mark.parametrize("details", [False, True])
def test_full_load_is_estimated_by_the_last_run(make_harness: MakeHarness, details: bool) -> None:
    harness = make_harness(120)
    harness.sync()
    harness.simulator.reset_counters()
    sizes = {"helpdesk_page_size": 50, "helpdesk_fetch_details": details}
    harness.settings = harness.settings.model_copy(update=sizes)
    preview = harness.preview(FULL)
    assert harness.simulator.counters().total == 0
    assert (preview.mode, preview.reason, preview.is_read) == (Mode.FULL, "asked for", False)
    assert (preview.tickets, preview.calls) == (120, 123 if details else 3)
    assert preview.is_lower_bound
    expect_told(preview, harness.sync(FULL))


def test_changed_tables_are_told_as_a_full_load(harness: Harness) -> None:
    harness.sync()
    harness.backend.drop_table("tickets")
    preview = harness.preview()
    assert preview.reason == "the table tickets was not there"
    assert [each.unknown for each in preview.statements if each.step == "tickets"] == [
        "the table tickets does not exist yet"
    ]
    expect_told(preview, harness.sync())


def test_broken_change_endpoint_is_told_as_the_listing(harness: Harness) -> None:
    harness.sync()
    harness.simulator.fault("error_500", on="search")
    preview = harness.preview()
    assert preview.mode is Mode.FULL
    assert preview.reason.startswith("fallback to the listing: ")
    assert not preview.is_read
    report = harness.sync()
    assert (report.manifest.mode, report.manifest.fallback) == (Mode.FULL, True)


def test_clock_behind_the_watermark_is_told(harness: Harness) -> None:
    harness.sync()
    harness.simulator.set_offset(-86_400)
    harness.simulator.freeze()
    preview = harness.preview()
    assert (preview.mode, preview.is_read) == (Mode.FULL, False)
    expect_told(preview, harness.sync())


def test_interrupted_load_is_told_to_go_on(make_harness: MakeHarness) -> None:
    harness = make_harness(2000)
    interrupt(harness, 0.6)
    before, stagings = harness.state(), harness.backend.stagings()
    preview = harness.preview(helpdesk_page_size=50)
    assert (preview.mode, preview.tickets) == (Mode.FULL, None)
    assert preview.reason == "first load, gone on with where it was interrupted"
    assert (harness.state(), harness.backend.stagings()) == (before, stagings)
    expect_told(preview, harness.sync(helpdesk_page_size=50))
    harness.assert_equal()


def test_dry_runs_between_runs_change_nothing(harness: Harness) -> None:
    names = ("tickets", "raw_ticket_changes", "missed_updates", "sync_runs")
    harness.sync()
    for _ in range(3):
        harness.simulator.change(5, spread_seconds=5)
        harness.simulator.advance(SECONDS_PAST_GRACE)
        before = harness.state(), [harness.rows(name) for name in names]
        for mode in (RequestedMode.AUTO, FULL):
            harness.preview(mode)
        assert (harness.state(), [harness.rows(name) for name in names]) == before
        assert harness.sync().merged.changed >= 5
    harness.assert_equal()


def test_what_would_stop_a_sync_stops_a_dry_run(make_harness: MakeHarness) -> None:
    harness, other = make_harness(20), make_harness(20, ZENDESK)
    harness.sync()
    other.backend = harness.backend
    assert isinstance(harness.backend, InMemoryBackend)
    stopped = list[type[HelpdeskAssetsError]]()
    for subject in (other, harness):
        for try_it in (subject.preview, subject.sync):
            with pytest.raises(HelpdeskAssetsError) as caught:
                try_it()
            stopped.append(caught.type)
        traits = DatasetTraits(collation="und:ci")
        harness.backend.dataset.report = DatasetReport("in.memory", dataset=traits)
    assert stopped == [AccountMismatch] * 2 + [WarehouseRefused] * 2


def test_old_rows_of_a_run_are_read_in_both(harness: Harness) -> None:
    """A window overlaps the one before; the run after a dry run still closes by one statement."""
    harness.sync()
    harness.simulator.change(4, spread_seconds=4)
    harness.simulator.advance(30)
    harness.sync()
    harness.simulator.freeze()
    preview = harness.preview()
    assert preview.tickets == 4
    assert preview.since is not None
    assert preview.until is not None
    assert preview.until - preview.since > timedelta(minutes=1)
    report = harness.sync()
    expect_told(preview, report)
    assert (report.stored.changed, report.merged.changed) == (0, 0)
    assert "tickets" not in [each.step for each in preview.statements]
