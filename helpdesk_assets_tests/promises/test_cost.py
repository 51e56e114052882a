"""What a run may cost: counted at the helpdesk and at the warehouse, not by ourselves."""

from __future__ import annotations

from collections import Counter

from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig
from helpdesk_assets_tests.promises.counting_proxy import CountingProxy


def run(rig: Rig) -> tuple[int, Counter[str]]:
    """API calls and warehouse jobs of one ordinary run."""
    rig.desk.reset_counters()
    with CountingProxy(rig.settings.bigquery_emulator_host) as proxy:
        report = rig.sync(bigquery_emulator_host=proxy.endpoint)
    assert report.query_jobs == proxy.jobs["query"]
    assert report.load_jobs == proxy.jobs["load"]
    assert report.manifest.api.calls == rig.desk.counters().total
    return rig.desk.counters().total, proxy.jobs


def test_up_to_100_changes_cost_1_call_4_query_jobs_and_no_load_job(rig: Rig) -> None:
    rig.sync()
    rig.desk.create(60)
    rig.desk.change(40, spread_seconds=40)
    rig.desk.advance(RIPE_SECONDS)
    calls, jobs = run(rig)
    assert calls == 1
    assert jobs["query"] <= 4
    assert jobs["load"] == 0


def test_no_change_costs_1_call_and_at_most_2_query_jobs(rig: Rig) -> None:
    rig.sync()
    rig.desk.advance(RIPE_SECONDS)
    calls, jobs = run(rig)
    assert calls == 1
    assert jobs["query"] <= 2
    assert jobs["load"] == 0
