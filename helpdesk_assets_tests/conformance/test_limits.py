"""The maximum of rows per query, and of calls."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted, WindowTooDense
from helpdesk_assets_tests.conformance.conftest import MakeHarness
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness

CAP = 60


def test_more_tickets_than_the_query_cap(make_harness: MakeHarness) -> None:
    """In total, and almost within one second: truncation would silently lose the rest."""
    harness = make_harness(4 * CAP, cap=CAP, helpdesk_result_cap=CAP)
    harness.simulator.change(CAP - 1, same_second=True)
    report = harness.sync_and_verify()
    assert not report.manifest.fallback
    assert report.facts.inserted == 4 * CAP


def test_one_second_beyond_the_query_cap_is_rejected(make_harness: MakeHarness) -> None:
    """No split helps, so the run fails. Once the tickets have different times, nothing is lost."""
    harness = make_harness(2 * CAP, cap=CAP, helpdesk_result_cap=CAP)
    harness.sync()
    before = harness.state()
    crowd = harness.simulator.change(CAP + 15, same_second=True)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    second = crowd[0].modified_time
    with pytest.raises(WindowTooDense, match=f"{second:%H:%M:%S}") as dense:
        harness.sync()
    assert "\n" not in str(dense.value)
    assert harness.state() == before
    harness.simulator.change(
        ids=[each.ticket_id for each in crowd], spread_seconds=3.0 * len(crowd)
    )
    harness.sync_and_verify()


def test_one_second_filling_many_pages(harness: Harness) -> None:
    harness.simulator.change(150, same_second=True)
    report = harness.sync_and_verify()
    assert not report.manifest.fallback
    assert report.facts.updated == 150


def test_throttles_before_the_rate_limit(harness: Harness) -> None:
    """The helpdesk's headers show the remaining calls, so it never has to answer 429."""
    harness.simulator.change(100, spread_seconds=200)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.fault("rate_limit", on="search", calls=20, window_seconds=60.0)
    report = harness.sync(helpdesk_page_size=2)
    assert set(harness.simulator.counters().calls["search"]) <= {"200", "204"}
    assert harness.simulator.counters().of("search") > 40
    assert report.manifest.api.seconds_waited > 60
    harness.sync_and_verify()


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("retry_after", [7200, "Fri, 31 Dec 2099 00:00:00 GMT"])
def test_exhausted_account_ends_the_run_without_the_listing(
    harness: Harness, retry_after: object, after: int
) -> None:
    """At the first call or while paging: more calls would only be refused as well."""
    harness.sync()
    before = harness.state()
    harness.simulator.change(40, spread_seconds=40)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.reset_counters()
    harness.simulator.fault("rate_limit_429", after=after, retry_after=retry_after)
    with pytest.raises(
        (RateLimitExhausted, EndpointFailed), match=r"used up|a wait of|all were requested"
    ):
        harness.sync(helpdesk_page_size=5)
    assert harness.simulator.counters().of("listing") == 0
    assert sum(calls.get("429", 0) for calls in harness.simulator.counters().calls.values()) == 1
    assert harness.state() == before
    harness.simulator.clear_faults()
    harness.sync_and_verify()
