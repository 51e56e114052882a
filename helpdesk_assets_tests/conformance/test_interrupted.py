"""A first load that ends half-way goes on where it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets_tests.conformance.conftest import MakeRig
from helpdesk_assets_tests.conformance.vendors import Gone

TICKETS = 240


def test_an_interrupted_first_load_goes_on(make_rig: MakeRig) -> None:
    """What changes or ends in between is read as well, whichever half it was in."""
    rig = make_rig(TICKETS)
    rig.desk.fault("error_500", after=10)
    with pytest.raises(EndpointFailed):
        rig.sync(save_every=timedelta(0))
    assert rig.desk.counters().tickets_served > 0.5 * TICKETS
    rig.desk.change(10, spread_seconds=30)
    rig.desk.create(3)
    if rig.vendor.ends["deleted"] is Gone.TOLD:
        rig.desk.delete(12)
    rig.desk.reset_counters()
    report = rig.settle()
    assert report.manifest.first_load
    assert report.facts.rows == TICKETS + 3
    # Where a list has no end to ask for, readers side by side are served some tickets twice.
    assert rig.desk.counters().tickets_served < 0.85 * TICKETS
