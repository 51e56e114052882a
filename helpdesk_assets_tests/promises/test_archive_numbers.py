"""Freshdesk's archive is asked by number, so tickets need numbers that are consecutive."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets_tests.conformance.vendors import FRESHDESK
from helpdesk_assets_tests.harness import open_in_memory

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 86_400.0
LONG_ID = "421370000002375417"


def test_generated_tickets_are_numbered_from_one() -> None:
    with open_in_memory(
        30, FRESHDESK, start=START, freshdesk_archive=True, webhooks_enabled=False
    ) as desk:
        desk.simulator.archive(3)
        desk.simulator.create(2)
        desk.simulator.advance(DAY)
        desk.sync()
        assert len(desk.tickets()) == 29
        desk.reconcile()
        assert desk.tickets().keys() == {str(number) for number in range(1, 33)}


@pytest.mark.parametrize("is_read", [True, False])
def test_other_ids_are_not_asked_for_and_that_is_said(is_read: bool) -> None:
    with open_in_memory(
        3, FRESHDESK, start=START, freshdesk_archive=is_read, webhooks_enabled=False
    ) as desk:
        desk.simulator.create(ids=[LONG_ID])
        desk.simulator.advance(DAY)
        desk.sync()
        desk.simulator.reset_counters()
        check = inventory_matches(desk.reconcile())
        assert desk.simulator.counters().of("ticket") == 0
    why = f"None was asked for: the newest id, {LONG_ID}, is not one of consecutive numbers."
    assert check.passed
    assert (why in check.description) is is_read
