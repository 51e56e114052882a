"""Runs that follow each other read little of a large recycle bin, and lose no deletion."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from helpdesk_assets_tests.conformance.vendors import ZOHO_DESK
from helpdesk_assets_tests.harness import Harness, open_in_memory

pytestmark = pytest.mark.slow

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TWO_HOURS = 7200
SORTED = "zoho_desk.bin_is_sorted"


def calls_of_a_run(harness: Harness) -> int:
    harness.simulator.reset_counters()
    harness.sync()
    return harness.simulator.counters().of("gone")


def fill_the_bin(harness: Harness) -> None:
    """Delete tickets of the table, and let the windows go on from there."""
    harness.simulator.advance(60)
    harness.sync_and_verify()
    harness.simulator.delete(290)
    harness.simulator.advance(60)
    harness.simulator.delete(10)
    for _ in range(2):
        harness.simulator.advance(TWO_HOURS)
        harness.sync()
    harness.simulator.advance(TWO_HOURS)


@pytest.mark.parametrize("modules", [True, False])
def test_sorted_bin_costs_a_call_and_tells_at_once(modules: bool) -> None:
    with open_in_memory(320, ZOHO_DESK, start=START, webhooks_enabled=False) as harness:
        harness.simulator.switch(SORTED)
        harness.simulator.switch("zoho_desk.modules_are_readable", friendly=modules)
        fill_the_bin(harness)
        for _ in range(4):
            assert calls_of_a_run(harness) == 1
            harness.simulator.advance(TWO_HOURS)
        harness.simulator.delete(2)
        harness.simulator.advance(60)
        assert calls_of_a_run(harness) <= 2
        harness.assert_equal()


def test_unsorted_bin_is_looked_into_and_read_once_a_day() -> None:
    with open_in_memory(320, ZOHO_DESK, start=START, webhooks_enabled=False) as harness:
        fill_the_bin(harness)
        harness.simulator.delete(2)
        calls = []
        for _ in range(13):
            harness.simulator.advance(TWO_HOURS)
            calls.append(calls_of_a_run(harness))
        whole = [each for each in calls if each > 3]
        assert len(whole) == 1
        assert set(calls) == {3, *whole}
        harness.assert_equal()


def test_order_that_is_taken_from_one_day_on_is_used() -> None:
    with open_in_memory(320, ZOHO_DESK, start=START, webhooks_enabled=False) as harness:
        fill_the_bin(harness)
        harness.simulator.switch(SORTED)
        harness.simulator.advance(12 * TWO_HOURS)
        harness.sync()
        harness.simulator.advance(TWO_HOURS)
        harness.simulator.delete(1)
        harness.simulator.advance(60)
        assert calls_of_a_run(harness) == 1
        harness.assert_equal()
