"""Reading a ticket in the helpdesk makes no new version of it in the tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from helpdesk_assets_tests.conformance.vendors import ZOHO_DESK
from helpdesk_assets_tests.harness import open_in_memory

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize("details", [False, True])
def test_fields_that_change_by_themselves_make_no_version(details: bool) -> None:
    settings = {"webhooks_enabled": False, "helpdesk_fetch_details": details}
    with open_in_memory(30, ZOHO_DESK, start=START, **settings) as harness:
        harness.simulator.change(3)
        harness.simulator.fault("volatile_fields")
        harness.simulator.advance(60)
        harness.sync()
        versions = len(harness.rows("raw_ticket_changes"))
        for _ in range(3):
            report = harness.sync()
            # Read again each time, since windows overlap.
            assert report.manifest.rows >= 3
            assert (report.facts.inserted, report.facts.updated) == (0, 0)
        assert len(harness.rows("raw_ticket_changes")) == versions
