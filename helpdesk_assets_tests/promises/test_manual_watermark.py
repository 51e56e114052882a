"""The next run starts at a watermark set by hand.

The helpdesk's cursor and the checkpoint of an interrupted fetch do not change that.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.vendors import REST, ZENDESK, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness


@pytest.mark.parametrize("vendor", [REST, ZENDESK], ids=lambda vendor: vendor.name)
def test_next_run_starts_at_the_set_watermark(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(60, vendor)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    state = harness.state()
    assert state is not None
    assert (state.cursor is not None) == (vendor is ZENDESK)
    harness.delete_rows()
    oldest = min(ticket.modified_time for ticket in harness.simulator.truth())
    assert harness.set_watermark(oldest).cursor is None
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    harness.assert_equal()
    after = harness.state()
    assert after is not None
    assert after.watermark is not None
    assert after.watermark >= (state.watermark or oldest)


def test_setting_the_watermark_drops_the_checkpoint(harness: Harness) -> None:
    """A resumed window would start too late.

    It would move the watermark over changes that it has not read.
    """
    harness.sync()
    oldest = min(ticket.modified_time for ticket in harness.simulator.truth())
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.change(40, spread_seconds=40)

    def die(phase: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.sync(on_phase=die, checkpoint_every=timedelta(0), helpdesk_page_size=10)
    checkpoint = harness.state()
    assert checkpoint is not None
    assert checkpoint.checkpoint is not None
    harness.delete_rows()
    harness.set_watermark(oldest)
    harness.sync()
    harness.assert_equal()


def test_concurrent_run_advances_nothing_and_loses_nothing(harness: Harness) -> None:
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.change(5, spread_seconds=5)
    oldest = min(ticket.modified_time for ticket in harness.simulator.truth())

    def meddle(phase: str) -> None:
        if phase == "fetch":
            harness.set_watermark(oldest)

    with pytest.raises(ConcurrentUpdate):
        harness.sync(on_phase=meddle)
    state = harness.state()
    assert state is not None
    assert state.watermark == oldest
    harness.sync_and_verify()


def test_first_load_over_a_set_watermark_needs_full_mode(harness: Harness) -> None:
    """A watermark set before the first load skips what is older; a full run reads it."""
    newest = max(ticket.modified_time for ticket in harness.simulator.truth())
    harness.set_watermark(newest)
    harness.sync()
    assert len(harness.tickets()) < 60
    harness.sync(RequestedMode.FULL)
    harness.assert_equal()
