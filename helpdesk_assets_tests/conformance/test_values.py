"""Values that break tools: texts, long ids, times with UTC offsets, times in the future."""

from __future__ import annotations

from datetime import UTC, datetime

from helpdesk_assets_tests.conformance.conftest import MakeHarness
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness

SUBJECTS = (
    "Ärger mit dem Größenwähler, naïve façade",
    "プリンターが動きません 🖨️ 👩‍👩‍👧",
    "\u202eشكوى\u202c 'quoted' \"twice\" \\ back\tslash\nand a new line",
    "e\u0301 is not é; 𠜎𠜱; \u2028; {{ticket.id}}; '; DROP TABLE tickets; --",
    "",
)
# Pairs that a float cannot tell apart; the second pair is beyond what 64 bits hold.
LONG_IDS = (
    "12345678901234567890",
    "12345678901234567891",
    "98765432109876543210",
    "98765432109876543211",
)


def test_texts_and_long_ids(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(5)
    for subject in SUBJECTS:
        harness.simulator.create(1, fields={vendor.subject: subject})
    harness.simulator.create(ids=LONG_IDS)
    report = harness.sync_and_verify()
    assert report.facts.rows == 5 + len(SUBJECTS) + len(LONG_IDS)
    assert harness.tickets().keys() >= set(LONG_IDS)


def test_times_with_offsets(make_harness: MakeHarness, vendor: Vendor) -> None:
    """The same instant, in the time zone of its author."""
    harness = make_harness(20)
    for spell in vendor.time_formats:
        harness.simulator.advance(60)
        now = harness.simulator.freeze().now
        harness.simulator.create(2, fields={vendor.modified: spell(now)})
        harness.simulator.thaw()
    report = harness.sync_and_verify()
    assert report.facts.rows == 20 + 2 * len(vendor.time_formats)


def test_future_time_has_no_lasting_effect(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(60)
    usual = [each.ticket_id for each in harness.simulator.truth()]
    vendor.create_dated(harness.simulator, datetime(2099, 6, 1, 12, tzinfo=UTC))
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert report.facts.future_times == 1
    _assert_watermark_is_of_now(harness)
    harness.simulator.change(ids=usual[:30], spread_seconds=60)
    harness.sync_and_verify()
    _assert_watermark_is_of_now(harness)


def _assert_watermark_is_of_now(harness: Harness) -> None:
    state = harness.state()
    assert state is not None
    assert state.watermark is not None
    assert state.watermark <= harness.simulator.clock().now
