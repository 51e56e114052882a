"""A watermark that a person has set is where the next run starts, whatever the helpdesk's cursor or
an interrupted reading would say."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse.statements.sync_state import Setting
from helpdesk_assets_tests.conformance.vendors import REST, ZENDESK, Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, connected, open_rig


def set_by_hand(rig: Rig, to: datetime) -> SyncState:
    with connected(rig.settings) as tables:
        seen = tables.read_state()
        version = (seen.version if seen else 0) + 1
        return tables.set_by_hand(Setting(to, None, version, uuid.uuid4().hex, "set"), seen)


def wipe(rig: Rig) -> None:
    """As if nothing had ever been merged."""
    table = rig.warehouse.dataset.table_id("tickets")
    rig.warehouse._client.query(f"DELETE FROM `{table}` WHERE TRUE").result()


@pytest.mark.parametrize("vendor", [REST, ZENDESK], ids=lambda vendor: vendor.name)
def test_the_next_run_reads_from_there(warehouse_endpoint: str, vendor: Vendor) -> None:
    with open_rig(warehouse_endpoint, 60, vendor) as rig:
        rig.desk.advance(RIPE_SECONDS)
        rig.sync()
        state = rig.state()
        assert state is not None
        assert (state.cursor is not None) == (vendor is ZENDESK)
        wipe(rig)
        oldest = min(ticket.modified_time for ticket in rig.desk.truth())
        assert set_by_hand(rig, oldest).cursor is None
        report = rig.sync()
        assert report.manifest.mode is Mode.INCREMENTAL
        rig.assert_equal()
        after = rig.state()
        assert after is not None
        assert after.watermark is not None
        assert after.watermark >= (state.watermark or oldest)


def test_an_interrupted_reading_does_not_go_on_past_it(rig: Rig) -> None:
    """Went on with, its window would begin later than what was asked for, and move the watermark
    over what lies before."""
    rig.sync()
    oldest = min(ticket.modified_time for ticket in rig.desk.truth())
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.change(40, spread_seconds=40)

    def die(phase: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rig.sync(on_phase=die, save_every=timedelta(0), helpdesk_page_size=10)
    begun = rig.state()
    assert begun is not None
    assert begun.unfinished is not None
    wipe(rig)
    set_by_hand(rig, oldest)
    rig.sync()
    rig.assert_equal()


def test_a_run_that_was_under_way_moves_nothing_and_loses_nothing(rig: Rig) -> None:
    rig.sync()
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.change(5, spread_seconds=5)
    oldest = min(ticket.modified_time for ticket in rig.desk.truth())

    def meddle(phase: str) -> None:
        if phase == "merge":
            set_by_hand(rig, oldest)

    with pytest.raises(AnotherWriter):
        rig.sync(on_phase=meddle)
    state = rig.state()
    assert state is not None
    assert state.watermark == oldest
    rig.settle()


def test_a_first_load_over_a_set_watermark_is_asked_for_in_full(rig: Rig) -> None:
    """Set before anything was read, it passes over what is older; a full run reads that."""
    newest = max(ticket.modified_time for ticket in rig.desk.truth())
    set_by_hand(rig, newest)
    rig.sync()
    assert len(rig.tickets()) < 60
    rig.sync(Ask.FULL)
    rig.assert_equal()
