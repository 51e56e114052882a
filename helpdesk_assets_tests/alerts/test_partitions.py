"""A failed month of a backfill is over only once that month has succeeded."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest

from helpdesk_assets.alerts.findings import Finding, RunReport, partition_subject
from helpdesk_assets.alerts.incidents import EMPTY, apply
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.alerts.run_events import latest_cursors, read_reports
from helpdesk_assets.defs.alerts.run_reports import AlertScope, Watcher
from helpdesk_assets_tests.alerts.samples import report

pytestmark = pytest.mark.slow

MONTHS = dg.StaticPartitionsDefinition(["2024-01", "2024-02", "2024-03", "2024-04"])
BY_HAND = "__ASSET_JOB"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass
class Backfills:
    """Runs of one partitioned asset, by a job of its own and by hand."""

    instance: dg.DagsterInstance
    job: str
    fails: bool = False

    def __post_init__(self) -> None:
        @dg.asset(partitions_def=MONTHS)
        def loaded() -> None:
            if self.fails:
                raise dg.Failure("No answer.", allow_retries=False)

        job = dg.define_asset_job("backfill", selection="*")
        self.defs = dg.Definitions(assets=[loaded], jobs=[job])
        self.watcher = Watcher(AlertScope.of([loaded], [job]))
        self.cursors = latest_cursors(self.instance)
        self.found = EMPTY

    def run(self, first: str, last: str | None = None, *, fails: bool = False) -> RunReport:
        """Run one month or, with `last`, all months up to it in one run."""
        self.fails = fails
        job = self.defs.resolve_job_def(self.job)
        tags = {RANGE_START: first, RANGE_END: last} if last else {}
        job.execute_in_process(
            instance=self.instance,
            partition_key=None if last else first,
            raise_on_error=False,
            tags=tags,
        )
        (run,), self.cursors = read_reports(self.instance, self.cursors, self.watcher)
        self.found = apply(self.found, run)
        return run

    @property
    def is_over(self) -> bool:
        (incident,) = self.found.values()
        return incident.resolved_at is not None


@pytest.fixture(params=["backfill", BY_HAND])
def backfills(request: pytest.FixtureRequest, instance: dg.DagsterInstance) -> Backfills:
    return Backfills(instance, request.param)


def test_next_month_does_not_end_a_failed_one(backfills: Backfills) -> None:
    failed = backfills.run("2024-03", fails=True)
    assert failed.failure is not None
    assert failed.failure.text == "The run of 2024-03 failed. step loaded: No answer."
    backfills.run("2024-04")
    assert not backfills.is_over
    backfills.run("2024-03")
    assert backfills.is_over


def test_each_failed_month_must_succeed(backfills: Backfills) -> None:
    for month in ("2024-01", "2024-03"):
        backfills.run(month, fails=True)
    backfills.run("2024-02")
    backfills.run("2024-03")
    assert not backfills.is_over
    backfills.run("2024-01")
    assert backfills.is_over


def test_failed_range_is_over_once_all_its_months_succeeded(backfills: Backfills) -> None:
    failed = backfills.run("2024-01", "2024-03", fails=True)
    assert failed.failure is not None
    assert failed.failure.text.startswith("The run of 2024-01 to 2024-03 failed.")
    backfills.run("2024-03", "2024-04")
    backfills.run("2024-01")
    assert not backfills.is_over
    backfills.run("2024-02")
    assert backfills.is_over


def test_range_ends_a_failed_month_within_it(backfills: Backfills) -> None:
    backfills.run("2024-02", fails=True)
    backfills.run("2024-03", "2024-04")
    assert not backfills.is_over
    backfills.run("2024-01", "2024-03")
    assert backfills.is_over


def test_other_partitions_of_a_job_make_up_for_nothing() -> None:
    """Even if the run's own coverage has been lost."""
    down = Finding("job months", Severity.ERROR, "The run failed.")
    month = (partition_subject("loaded", "2024-03"),)
    failed = report(0, job="months", covers=month, failure=down, partitioned=True)
    other = report(1, job="months", covers=(), partitioned=True)
    assert apply(apply(EMPTY, failed), other)["job months"].resolved_at is None
