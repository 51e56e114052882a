"""A spent account limit ends the run at any endpoint: other calls would only be refused as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted
from helpdesk_assets_tests.conformance.vendors import (
    FRESHDESK,
    REQUEST_TRACKER,
    REST,
    VENDORS,
    ZENDESK,
    ZOHO_DESK,
    Vendor,
)
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness

DETAILS = {"helpdesk_fetch_details": True}
# Vendor, endpoint that refuses, and settings.
READS: list[tuple[Vendor, str, dict[str, Any]]] = [
    (REST, "ticket", DETAILS),
    (FRESHDESK, "ticket", DETAILS),
    (ZOHO_DESK, "ticket", DETAILS),
    (REQUEST_TRACKER, "ticket", {}),
    (ZOHO_DESK, "gone", {}),
    (FRESHDESK, "gone", {}),
    (REQUEST_TRACKER, "gone", {}),
    (ZENDESK, "search", {}),
]
CASES = [
    (*read, after)
    for read in READS
    for after in (0, 1)
    # Its transactions fill one page.
    if (read[0], read[1], after) != (REQUEST_TRACKER, "gone", 1)
]
SENTENCE = r"used up|a wait of|all were requested|Try again later"


def _assert_ends(harness: Harness, work: Callable[[], object]) -> None:
    before = harness.state()
    rows = {name: harness.rows(name) for name in ("tickets", "raw_ticket_changes")}
    harness.simulator.reset_counters()
    with pytest.raises((RateLimitExhausted, EndpointFailed), match=SENTENCE) as refusal:
        work()
    assert "\n" not in str(refusal.value)
    calls = harness.simulator.counters()
    assert calls.of("listing") == 0
    # Threads that had begun their calls may be refused too.
    assert 1 <= sum(by_status.get("429", 0) for by_status in calls.calls.values()) <= 8
    assert harness.state() == before
    assert {name: harness.rows(name) for name in rows} == rows
    harness.simulator.clear_faults()
    harness.simulator.advance(SECONDS_PAST_GRACE)


def _assert_versions_equal(harness: Harness) -> None:
    """Compare versions alone: a ticket by its id has other fields than in lists."""
    held = {ticket_id: row["modifiedTime"] for ticket_id, row in harness.tickets().items()}
    truth = {ticket.ticket_id: ticket.modified_time for ticket in harness.simulator.truth()}
    assert {ticket_id: held.get(ticket_id) for ticket_id in truth} == truth


def _live(harness: Harness) -> None:
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    harness.simulator.change(15, spread_seconds=15)
    harness.simulator.delete(3)
    harness.simulator.advance(SECONDS_PAST_GRACE)


@pytest.mark.parametrize(
    ("vendor", "endpoint", "settings", "after"),
    CASES,
    ids=[f"{vendor.name}-{endpoint}-{after}" for vendor, endpoint, _, after in CASES],
)
def test_spent_limit_at_any_endpoint_ends_the_run(
    make_harness: MakeHarness, vendor: Vendor, endpoint: str, settings: dict[str, Any], after: int
) -> None:
    harness = make_harness(60, vendor)
    harness.settings = harness.settings.model_copy(update=settings)
    _live(harness)
    harness.simulator.fault("rate_limit_429", on=endpoint, after=after, retry_after=86_400)
    _assert_ends(harness, lambda: harness.sync(helpdesk_page_size=10))
    harness.sync()
    _assert_versions_equal(harness)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_spent_limit_ends_a_repair_by_id(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(20, vendor)
    _live(harness)
    harness.simulator.fault("rate_limit_429", retry_after=86_400)
    ids = sorted(harness.tickets())[:3]
    _assert_ends(harness, lambda: harness.repair(ids, mark_deleted=True))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_spent_limit_ends_a_reconciliation(make_harness: MakeHarness, vendor: Vendor) -> None:
    harness = make_harness(20, vendor)
    _live(harness)
    harness.simulator.fault("rate_limit_429", retry_after=86_400)
    _assert_ends(harness, harness.reconcile)
    harness.sync()
    _assert_versions_equal(harness)
