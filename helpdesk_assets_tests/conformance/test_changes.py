"""First load and later changes: none, one, many, within one second, or while paging."""

from __future__ import annotations

import pytest

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.conftest import PAGE, TICKETS, MakeHarness
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness


def test_first_load(make_harness: MakeHarness) -> None:
    harness = make_harness(150)
    report = harness.sync()
    assert (report.manifest.mode, report.manifest.fallback) == (Mode.FULL, False)
    assert report.facts.inserted == 150
    harness.assert_equal()


def test_empty_helpdesk(make_harness: MakeHarness) -> None:
    """Some vendors answer differently without rows; the watermark moves all the same."""
    harness = make_harness(0)
    harness.sync()
    harness.simulator.create(3)
    report = harness.sync_and_verify()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.facts.rows == 3


def test_no_changes(harness: Harness, vendor: Vendor) -> None:
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.tickets_synced == 0
    assert (
        harness.simulator.counters().total
        == report.manifest.api.calls
        <= vendor.calls_without_changes
    )
    harness.assert_equal()


def test_one_change(harness: Harness) -> None:
    harness.simulator.change(1)
    report = harness.sync_and_verify()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert (report.tickets_synced, report.facts.updated) == (1, 1)


def test_many_changes(harness: Harness) -> None:
    harness.simulator.change(250, spread_seconds=500)
    report = harness.sync_and_verify()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert (report.tickets_synced, report.facts.updated) == (250, 250)


def test_changes_without_a_new_modified_time(harness: Harness, vendor: Vendor) -> None:
    """The vendor's own system changes a ticket's content but not its modified time."""
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.change(5, fields={vendor.subject: "by a rule"}, silent=True)
    report = harness.sync_and_verify()
    assert (report.tickets_synced, report.facts.updated) == (5, 5)


def test_changes_in_one_second_across_a_page_boundary(harness: Harness) -> None:
    harness.simulator.change(PAGE // 2, spread_seconds=PAGE)
    harness.simulator.advance(5)
    harness.simulator.change(2 * PAGE + 3, same_second=True)
    harness.simulator.advance(5)
    harness.simulator.change(PAGE, spread_seconds=2 * PAGE)
    report = harness.sync_and_verify()
    assert not report.manifest.fallback


@pytest.mark.parametrize("requested_mode", [RequestedMode.AUTO, RequestedMode.FULL])
def test_changes_while_paging(harness: Harness, requested_mode: RequestedMode) -> None:
    """Before every page, tickets change their positions and the pages behind shift."""
    harness.simulator.change(TICKETS // 3, spread_seconds=TICKETS)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.fault(
        "changes_while_paging", on="search", changes=7, advance_seconds=14.0, count=30
    )
    report = harness.sync(requested_mode)
    assert not report.manifest.fallback
    harness.sync_and_verify()
