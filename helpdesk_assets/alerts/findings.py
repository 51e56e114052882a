"""What one ended run says, as plain data. Must not know where it was read nor who is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.checks.evidence import Severity

# Dagster's own name for runs that were put together in the UI, whatever they materialise.
_AD_HOC_JOB_PREFIX = "__ASSET_JOB"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run says of one subject, a check or a job. `severity` None: it is well.

    Texts and lists are as long as they came; a message and a memory cut them to what they hold.
    """

    subject: str
    severity: Severity | None
    text: str = ""
    counts: tuple[tuple[str, float], ...] = ()
    ticket_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run of ours that has ended.

    `root_run_id` is that of the run that it is an automatic retry or a re-execution of, else its
    own. `covers` names the assets and checks of ours that it set out to do. `failure` is None where
    it did not fail, and where a check's finding says already why it did.
    """

    run_id: str
    root_run_id: str
    job: str
    ended_at: datetime
    succeeded: bool
    covers: frozenset[str]
    checks: tuple[Finding, ...] = ()
    failure: Finding | None = None


def job_subject(job: str) -> str:
    """How a job is called in a message; all runs put together by hand share one subject."""
    return "run by hand" if is_ad_hoc(job) else f"job {job}"


def is_ad_hoc(job: str) -> bool:
    return job.startswith(_AD_HOC_JOB_PREFIX)
