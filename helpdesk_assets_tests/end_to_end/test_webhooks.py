"""A sync and its alerts after webhooks that are lost, doubled, held back or out of order."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.end_to_end.subscribed_receiver import subscribed_receiver
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, as_versions, open_harness

# More than the grace, less than what makes a change ripe.
LATE_SECONDS = 400.0


@pytest.mark.slow
def test_sync_finds_exactly_the_undelivered_changes(warehouse_endpoint: str) -> None:
    with (
        open_harness(warehouse_endpoint, 60) as harness,
        subscribed_receiver(harness.simulator, harness.settings) as time,
    ):
        simulator = harness.simulator
        harness.sync()
        ids = [ticket.ticket_id for ticket in simulator.truth()]
        good = simulator.change(ids=ids[:1])
        time.advance(SECONDS_PAST_GRACE)
        harness.sync()
        assert harness.reasons() == {}

        simulator.send_webhooks(hold=4)
        held = simulator.change(ids=ids[1:5], spread_seconds=4)
        simulator.send_webhooks(lose=3, double=2)
        changed = simulator.change(ids=ids[5:15], spread_seconds=10)
        lost = changed[:3]
        # Its newer version arrives first, the older one late: nothing remains to report.
        overtaken = simulator.change(ids=[held[0].ticket_id])
        time.advance(LATE_SECONDS)
        assert simulator.release_webhooks(newest_first=True) == len(held)
        simulator.send_webhooks(hold=2)
        after = simulator.change(ids=ids[15:17])
        newest = simulator.change(ids=ids[17:18])
        seen = simulator.webhook_status()
        assert set(seen.lost) == as_versions(lost)
        assert set(seen.held) == as_versions(after)

        events = {(row["ticket_id"], row["modifiedTime"]) for row in harness.rows("webhook_events")}
        came = [*good, *held, *changed[3:], *overtaken, *newest]
        assert events == as_versions(came), "an event is absent, or nobody sent it"

        time.advance(SECONDS_PAST_GRACE)
        report = harness.sync()
        assert harness.reasons() == {
            **dict.fromkeys(as_versions([*lost, *after]), "missed"),
            **dict.fromkeys(as_versions(held[1:]), "late"),
        }
        assert report.facts.missed_total == len(lost) + len(after)
        harness.assert_equal()

        assert simulator.release_webhooks() == len(after)
        simulator.webhook_status()
        found = {
            **dict.fromkeys(as_versions(lost), "missed"),
            **dict.fromkeys(as_versions([*held[1:], *after]), "late"),
        }
        for late in (len(after), 0):
            report = harness.sync()
            assert harness.reasons() == found
            assert report.facts.webhooks is not None
            assert (report.facts.missed_total, report.facts.webhooks.late) == (0, late)
        harness.assert_equal()
