"""A helpdesk dates a deletion in the future: the row is deleted by its clock of that answer."""

from __future__ import annotations

import pytest

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets_tests.conformance.vendors import (
    VENDORS,
    ZENDESK,
    DeletionVisibility,
    Vendor,
)
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE
from helpdesk_assets_tests.promises.conftest import MakeHarness

YEARS = 20 * 365 * 86_400
# Zendesk's export ends a minute ago by its own clock, so it shows no row of the future.
TELLING = [
    vendor
    for vendor in VENDORS
    if vendor.removals["deleted"] is not DeletionVisibility.INVISIBLE and vendor is not ZENDESK
]


@pytest.mark.parametrize("vendor", TELLING, ids=lambda vendor: vendor.name)
def test_deletion_is_dated_no_later_than_its_answer(
    make_harness: MakeHarness, vendor: Vendor
) -> None:
    harness = make_harness(20, vendor)
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.set_offset(YEARS)
    deleted = harness.simulator.delete(2)
    harness.simulator.set_offset(0)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    for mode in (RequestedMode.AUTO, RequestedMode.FULL):
        harness.sync(mode)
        now = harness.simulator.clock().now
        times = [harness.tickets()[each]["deletedTime"] for each in deleted]
        assert all(at is not None and at <= now for at in times)
        harness.simulator.advance(SECONDS_PAST_GRACE)
