"""Webhooks that are lost, doubled, held back and out of order: what a sync finds of them, and what
people are told."""

from __future__ import annotations

from helpdesk_assets_tests.end_to_end.subscribed_receiver import listening
from helpdesk_assets_tests.harness import RIPE_SECONDS, as_versions, open_rig

# More than the grace, less than what makes a change ripe.
LATE_SECONDS = 400.0


def test_a_sync_finds_exactly_what_no_webhook_delivered(warehouse_endpoint: str) -> None:
    with (
        # Groups of one: what comes twice is else told apart before it is written.
        open_rig(warehouse_endpoint, 60, webhook_flush_events=1) as rig,
        listening(rig.desk, rig.settings) as time,
    ):
        desk = rig.desk
        rig.sync()
        ids = [ticket.ticket_id for ticket in desk.truth()]
        good = desk.change(ids=ids[:1])
        time.pass_by(RIPE_SECONDS)
        rig.sync()
        assert rig.reasons() == {}

        desk.send_webhooks(hold=4)
        held = desk.change(ids=ids[1:5], spread_seconds=4)
        desk.send_webhooks(lose=3, double=2)
        changed = desk.change(ids=ids[5:15], spread_seconds=10)
        lost = changed[:3]
        # Its newer version comes first, the older one late: nothing is left to be told of it.
        overtaken = desk.change(ids=[held[0].ticket_id])
        time.pass_by(LATE_SECONDS)
        assert desk.release_webhooks(newest_first=True) == len(held)
        desk.send_webhooks(hold=2)
        after = desk.change(ids=ids[15:17])
        newest = desk.change(ids=ids[17:18])
        seen = desk.delivered()
        assert set(seen.lost) == as_versions(lost)
        assert set(seen.held) == as_versions(after)

        events = [(row["ticket_id"], row["modifiedTime"]) for row in rig.rows("webhook_events")]
        came = [*good, *held, *changed[3:], *overtaken, *newest]
        assert sorted(events) == sorted(as_versions(came)), "an event is absent, or twice"
        before = rig.tickets()
        assert before[overtaken[0].ticket_id]["modifiedTime"] == overtaken[0].modified_time
        assert max(row["modifiedTime"] for row in before.values()) > max(
            ticket.modified_time for ticket in lost
        )

        time.pass_by(RIPE_SECONDS)
        report = rig.sync()
        assert rig.reasons() == {
            **dict.fromkeys(as_versions([*lost, *after]), "missed"),
            **dict.fromkeys(as_versions(held[1:]), "late"),
        }
        assert report.facts.missed_total == len(lost) + len(after)
        rig.assert_equal()

        assert desk.release_webhooks() == len(after)
        desk.delivered()
        found = {
            **dict.fromkeys(as_versions(lost), "missed"),
            **dict.fromkeys(as_versions([*held[1:], *after]), "late"),
        }
        for late in (len(after), 0):
            report = rig.sync()
            assert rig.reasons() == found
            assert report.facts.webhooks is not None
            assert (report.facts.missed_total, report.facts.webhooks.late) == (0, late)
        rig.assert_equal()
