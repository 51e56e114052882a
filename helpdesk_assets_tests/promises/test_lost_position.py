"""The position of an interrupted run cannot be read, or the vendor does not know it any more."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.providers.paging.coverage import Coverage
from helpdesk_assets_tests.conformance.vendors import VENDORS, ZENDESK, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness

GARBAGE = ["x", "{}", "17 ", '{"first": null, "read": 3}', "[" * 100_000, "½ cursor", "\x00\ud800"]


def _interrupt(harness: Harness) -> None:
    def die(progress: Progress) -> None:
        state = harness.state()
        if state is not None and state.checkpoint is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.sync(on_page=die, checkpoint_every=timedelta(0), helpdesk_page_size=10)


def _spoil(harness: Harness, resume: str) -> None:
    state = harness.state()
    assert state is not None
    assert state.checkpoint is not None
    harness.backend.edit_state("checkpoint", replace(state.checkpoint, resume=resume))


@pytest.mark.parametrize("is_first", [True, False], ids=["first_load", "later_run"])
@pytest.mark.parametrize("resume", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_unreadable_position_starts_the_run_over(
    make_harness: MakeHarness,
    caplog: pytest.LogCaptureFixture,
    vendor: Vendor,
    resume: str,
    is_first: bool,
) -> None:
    harness = make_harness(60, vendor)
    if not is_first:
        harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.change(40, spread_seconds=40)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    _interrupt(harness)
    _spoil(harness, resume)
    with caplog.at_level(logging.WARNING):
        report = harness.sync()
    assert len([line for line in caplog.messages if "position" in line or "cursor" in line]) == 1
    assert report.manifest.first_load == is_first
    harness.assert_equal()
    state = harness.state()
    assert state is not None
    assert state.checkpoint is None


def test_position_unknown_to_the_vendor_starts_over(
    make_harness: MakeHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness = make_harness(60, ZENDESK)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    _interrupt(harness)
    _spoil(harness, "1790000000 a-cursor-that-has-expired")
    with caplog.at_level(logging.WARNING):
        harness.sync()
    assert len([line for line in caplog.messages if "rejects the cursor" in line]) == 1
    harness.assert_equal()


@pytest.mark.parametrize(
    "end", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", 17, None, {}]
)
def test_times_that_cannot_be_read_are_no_position(end: object) -> None:
    text = f'{{"first": null, "read": [["2026-01-01T00:00:00+00:00", "{end}"]]}}'
    with pytest.raises(PositionLost):
        Coverage.from_text(text)
