"""An interrupted first load resumes where it stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets_tests.conformance.conftest import MakeHarness
from helpdesk_assets_tests.conformance.vendors import DeletionVisibility

TICKETS = 240


def test_interrupted_first_load_resumes(make_harness: MakeHarness) -> None:
    """Changes and removals in between are read too, in either half."""
    harness = make_harness(TICKETS)
    harness.simulator.fault("error_500", after=10)
    with pytest.raises(EndpointFailed):
        harness.sync(checkpoint_every=timedelta(0))
    assert harness.simulator.counters().tickets_served > 0.5 * TICKETS
    harness.simulator.change(10, spread_seconds=30)
    harness.simulator.create(3)
    if harness.vendor.removals["deleted"] is DeletionVisibility.FULL_VERSION:
        harness.simulator.delete(12)
    harness.simulator.reset_counters()
    report = harness.sync_and_verify()
    assert report.manifest.first_load
    assert report.facts.rows == TICKETS + 3
    # If a list has no upper bound, concurrent readers receive some tickets twice.
    assert harness.simulator.counters().tickets_served < 0.85 * TICKETS
