"""First load, and what has changed since: none, one, many, within one second, while one pages."""

from __future__ import annotations

import pytest

from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.conftest import PAGE, TICKETS, MakeRig
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig


def test_first_load(make_rig: MakeRig) -> None:
    rig = make_rig(150)
    report = rig.sync()
    assert (report.manifest.mode, report.manifest.fallback) == (Mode.FULL, False)
    assert report.facts.inserted == 150
    rig.assert_equal()


def test_an_empty_helpdesk(make_rig: MakeRig) -> None:
    """Empty is another answer than a list without rows at some; and the watermark moves."""
    rig = make_rig(0)
    rig.sync()
    rig.desk.create(3)
    report = rig.settle()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.facts.rows == 3


def test_nothing_changed(rig: Rig, vendor: Vendor) -> None:
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.tickets_synced == 0
    assert rig.desk.counters().total == report.manifest.api.calls <= vendor.calls_when_quiet
    rig.assert_equal()


def test_one_change(rig: Rig) -> None:
    rig.desk.change(1)
    report = rig.settle()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert (report.tickets_synced, report.facts.updated) == (1, 1)


def test_250_changes(rig: Rig) -> None:
    rig.desk.change(250, spread_seconds=500)
    report = rig.settle()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert (report.tickets_synced, report.facts.updated) == (250, 250)


def test_changes_that_leave_the_modified_time(rig: Rig, vendor: Vendor) -> None:
    """As a system makes them: another content under the time that the table has already."""
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.change(5, fields={vendor.subject: "by a rule"}, silent=True)
    report = rig.settle()
    assert (report.tickets_synced, report.facts.updated) == (5, 5)


def test_changes_in_one_second_across_a_page_edge(rig: Rig) -> None:
    rig.desk.change(PAGE // 2, spread_seconds=PAGE)
    rig.desk.advance(5)
    rig.desk.change(2 * PAGE + 3, same_second=True)
    rig.desk.advance(5)
    rig.desk.change(PAGE, spread_seconds=2 * PAGE)
    report = rig.settle()
    assert not report.manifest.fallback


@pytest.mark.parametrize("ask", [Ask.AUTO, Ask.FULL])
def test_changes_while_paging(rig: Rig, ask: Ask) -> None:
    """Before every page, tickets leave their places, and the pages behind move up."""
    rig.desk.change(TICKETS // 3, spread_seconds=TICKETS)
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.fault("changes_while_paging", on="search", changes=7, advance_seconds=14.0, count=30)
    report = rig.sync(ask)
    assert not report.manifest.fallback
    rig.settle()
