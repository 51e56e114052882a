"""The results of one ended run, as plain data. Must not know Dagster, channels or messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.checks.evidence import Severity

# Dagster's name prefix for runs started in the UI from a selection of assets.
_AD_HOC_JOB_PREFIX = "__ASSET_JOB"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one run reports about one subject, a check or a job.

    Texts and lists have their full length. A message and the sensor's cursor truncate them.

    Attributes:
        subject: A check such as `missed_updates.webhook_gaps`, or a job.
        severity: None if all is well.
        text: The reason, for people.
        counts: Numbers of the check's metadata, as (name, value).
        ticket_ids: Tickets that the finding is about.
    """

    subject: str
    severity: Severity | None
    text: str = ""
    counts: tuple[tuple[str, float], ...] = ()
    ticket_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """One ended run of this project.

    Attributes:
        run_id: Dagster's id of the run.
        root_run_id: The first run of a chain of retries and re-executions; else the run's own id.
        job: Name of the job.
        ended_at: When the run ended, UTC.
        succeeded: Whether Dagster marked the run as a success.
        covers: Assets and checks in scope that the run planned to execute; of a partitioned asset
            its partitions, see `partition_subject`.
        partitioned: Whether `covers` names partitions. A good run of other partitions, though of
            the same job, makes up for nothing.
        checks: One finding per evaluated check.
        failure: Why the run failed. None if it succeeded, or if a blocking check already says why.
    """

    run_id: str
    root_run_id: str
    job: str
    ended_at: datetime
    succeeded: bool
    covers: frozenset[str]
    partitioned: bool = False
    checks: tuple[Finding, ...] = ()
    failure: Finding | None = None


def job_subject(job: str) -> str:
    """The name of a job in messages. All runs started by hand share one subject."""
    return "run by hand" if is_ad_hoc(job) else f"job {job}"


def partition_subject(asset: str, partition: str) -> str:
    """The name of one partition of an asset, such as `ticket_backfill 2024-03`."""
    return f"{asset} {partition}"


def is_ad_hoc(job: str) -> bool:
    """Whether the run was started by hand from a selection of assets and not from a named job."""
    return job.startswith(_AD_HOC_JOB_PREFIX)
