"""The cost of a run, counted by the helpdesk and the warehouse instead of by the run."""

from __future__ import annotations

from collections import Counter

import pytest

from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY
from helpdesk_assets_tests.promises.counting_proxy import CountingProxy
from helpdesk_assets_tests.promises.test_missed_updates_by_webhooks import hear_an_event

pytestmark = [pytest.mark.slow, ON_BIGQUERY]

MAX_QUIET_REQUESTS, MAX_INCREMENTAL_REQUESTS = 22, 32


def run(harness: Harness) -> tuple[int, Counter[str]]:
    """Run the sync once; returns its API calls and warehouse jobs."""
    calls, jobs, _ = run_and_report(harness)
    return calls, jobs


def run_and_report(harness: Harness) -> tuple[int, Counter[str], SyncReport]:
    harness.simulator.reset_counters()
    with CountingProxy(harness.settings.bigquery_emulator_host) as proxy:
        report = harness.sync(bigquery_emulator_host=proxy.endpoint)
    assert report.query_jobs == proxy.jobs["query"]
    assert report.load_jobs == proxy.jobs["load"]
    assert report.manifest.api.calls == harness.simulator.counters().total
    return harness.simulator.counters().total, proxy.jobs, report


def test_hundred_changes_cost_one_call_and_four_query_jobs(harness: Harness) -> None:
    harness.sync()
    harness.simulator.create(60)
    harness.simulator.change(40, spread_seconds=40)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    calls, jobs = run(harness)
    assert calls == 1
    assert jobs["query"] <= 4
    assert jobs["load"] == 0


def test_no_changes_cost_one_call_and_one_query_job(harness: Harness) -> None:
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    calls, jobs = run(harness)
    assert (calls, jobs["query"], jobs["load"]) == (1, 1, 0)


def test_run_sends_few_requests_one_after_another(harness: Harness) -> None:
    """Each takes a tenth of a second on the service, whatever it asks."""
    harness.sync()
    for changes, most in ((0, MAX_QUIET_REQUESTS), (50, MAX_INCREMENTAL_REQUESTS)):
        harness.simulator.change(changes, spread_seconds=40)
        harness.simulator.advance(SECONDS_PAST_GRACE)
        with CountingProxy(harness.settings.bigquery_emulator_host) as proxy:
            harness.sync(bigquery_emulator_host=proxy.endpoint)
        assert 0 < proxy.requests <= most


def test_run_that_repeats_stored_rows_costs_one_query_job(harness: Harness) -> None:
    """Windows overlap, so the rows of the last minutes are read again."""
    harness.sync()
    harness.simulator.change(20, spread_seconds=20)
    harness.simulator.advance(30)
    assert harness.sync().merged.changed == 20
    for _ in range(2):
        calls, jobs, report = run_and_report(harness)
        assert (report.manifest.rows, report.facts.unchanged) == (20, 20)
        assert (calls, jobs["query"], jobs["load"]) == (1, 1, 0)
        assert (report.merged.query_jobs, report.stored.query_jobs) == (0, 0)


def test_repeated_rows_with_events_cost_two_query_jobs(harness: Harness) -> None:
    hear_an_event(harness)
    harness.deliver_to_receiver(harness.simulator.change(20, spread_seconds=20))
    harness.simulator.advance(30)
    harness.sync()
    calls, jobs, report = run_and_report(harness)
    assert report.facts.unchanged == report.manifest.rows > 0
    assert (calls, jobs["query"], jobs["load"]) == (1, 2, 0)


def test_run_with_events_costs_no_extra_jobs(harness: Harness) -> None:
    """Its own four jobs, and three of the drain if nobody else has merged what waits."""
    hear_an_event(harness)
    for most in (7, 4):
        harness.deliver_to_receiver(harness.simulator.change(40, spread_seconds=40)[3:])
        harness.simulator.advance(SECONDS_PAST_GRACE)
        if most == 4:
            harness.drain()
        calls, jobs = run(harness)
        assert calls == 1
        assert (jobs["query"] <= most, jobs["load"]) == (True, 0)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    calls, jobs = run(harness)
    assert calls == 1
    assert (jobs["query"] <= 2, jobs["load"]) == (True, 0)
