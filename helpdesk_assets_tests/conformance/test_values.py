"""Values that break tools: texts, long ids, times with offsets, a time that is not yet."""

from __future__ import annotations

from datetime import UTC, datetime

from helpdesk_assets_tests.conformance.conftest import MakeRig
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig

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


def test_texts_and_long_ids(make_rig: MakeRig, vendor: Vendor) -> None:
    rig = make_rig(5)
    for subject in SUBJECTS:
        rig.desk.create(1, fields={vendor.subject: subject})
    rig.desk.create(ids=LONG_IDS)
    report = rig.settle()
    assert report.facts.rows == 5 + len(SUBJECTS) + len(LONG_IDS)
    assert rig.tickets().keys() >= set(LONG_IDS)


def test_times_with_offsets(make_rig: MakeRig, vendor: Vendor) -> None:
    """The same instant in other words, in the zone of whoever wrote it."""
    rig = make_rig(20)
    for spell in vendor.spellings:
        rig.desk.advance(60)
        now = rig.desk.freeze().now
        rig.desk.create(2, fields={vendor.modified: spell(now)})
        rig.desk.thaw()
    report = rig.settle()
    assert report.facts.rows == 20 + 2 * len(vendor.spellings)


def test_a_future_time_poisons_nothing(make_rig: MakeRig, vendor: Vendor) -> None:
    rig = make_rig(60)
    usual = [each.ticket_id for each in rig.desk.truth()]
    vendor.make_dated(rig.desk, datetime(2099, 6, 1, 12, tzinfo=UTC))
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    assert report.facts.future_times == 1
    _assert_watermark_is_of_now(rig)
    rig.desk.change(ids=usual[:30], spread_seconds=60)
    rig.settle()
    _assert_watermark_is_of_now(rig)


def _assert_watermark_is_of_now(rig: Rig) -> None:
    state = rig.state()
    assert state is not None
    assert state.watermark is not None
    assert state.watermark <= rig.desk.clock().now
