"""The checks on the read, the tickets table and the watermark. Pure: no Dagster and no client.

The statement that commits a run also counts the whole tickets table, so no check queries the
warehouse again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from helpdesk_assets.checks.evidence import CheckResult, Evidence, Severity
from helpdesk_assets.checks.repeated_rows import one_row_per_ticket
from helpdesk_assets.checks.webhooks import (
    overlap_too_small,
    webhook_gaps,
    webhook_latency,
    webhook_silence,
)
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.state import RunCounts

# Two ticks of the two-hour schedule: a single late tick is noise. Twice that: nobody looked.
STALE_AFTER = timedelta(hours=4)
STALE_ERROR_AFTER = timedelta(hours=8)


def no_fallback(evidence: Evidence) -> CheckResult:
    """Whether the change endpoint answered, so that the run did not list every ticket."""
    manifest = evidence.manifest
    text, used = "The change endpoint answered.", manifest is not None and manifest.fallback
    if manifest is not None and used:
        moved = "" if manifest.advances_watermark else ", and the watermark stayed"
        cause = manifest.reason.partition(": ")[2] or manifest.reason
        text = f"The change endpoint failed. Every ticket was listed instead{moved}. {cause}"
    return CheckResult(
        "no_fallback",
        passed=not used,
        severity=Severity.WARN,
        description=text,
        facts={"fallback": int(used)},
    )


def read_whole(evidence: Evidence) -> CheckResult:
    """Whether every fetched row is accounted for in the table, with the counts that prove it."""
    manifest, facts = evidence.manifest, evidence.facts
    if manifest is None or facts is None:
        return CheckResult(
            "read_whole",
            passed=True,
            severity=Severity.ERROR,
            description="The latest batch has not been merged yet; nothing to compare.",
            facts=_read_counts(manifest, RunCounts()),
        )
    problems = _count_mismatches(manifest, facts)
    return CheckResult(
        "read_whole",
        passed=not problems,
        severity=Severity.ERROR,
        description=" ".join(problems) or "Every fetched ticket is in the table.",
        facts=_read_counts(manifest, facts),
    )


def table_shrank(evidence: Evidence) -> CheckResult:
    """Whether the tables still held all that earlier runs had written."""
    facts, manifest = evidence.latest or RunCounts(), evidence.manifest
    problems = []
    if manifest is not None and manifest.ground_reason is not None:
        problems.append(f"When the run began, {manifest.ground_reason}.")
    if facts.rows_lost:
        problems.append(f"Rows of {facts.rows_lost:,} tickets are gone since the run before.")
    if facts.behind:
        problems.append(f"Older versions of {facts.behind:,} tickets were put back.")
    if problems:
        problems.append(_what_was_done(manifest))
    return CheckResult(
        "table_shrank",
        passed=not problems,
        severity=Severity.ERROR,
        description=" ".join(problems) or "The tables held all that earlier runs had written.",
        facts={
            "rows_lost": facts.rows_lost,
            "tickets_behind": facts.behind,
            "table_rows": facts.rows,
        },
    )


def no_null_keys_or_times(evidence: Evidence) -> CheckResult:
    """Whether every row has its ticket_id and modifiedTime."""
    facts = evidence.latest or RunCounts()
    return _table_check(
        "no_null_keys_or_times",
        evidence,
        {"null_keys": facts.null_keys, "null_times": facts.null_times},
        passed_text="Every row has a ticket_id and a modifiedTime.",
        failed_text="Some rows have no ticket_id or no modifiedTime. Something other than the sync "
        "writes them. Such a row never matches a ticket, or always counts as older; delete it.",
    )


def no_time_in_the_future(evidence: Evidence) -> CheckResult:
    """Whether no row is dated ahead of the helpdesk's clock."""
    return _table_check(
        "no_time_in_the_future",
        evidence,
        {"future_times": (evidence.latest or RunCounts()).future_times},
        passed_text="No modifiedTime is ahead of the helpdesk's clock.",
        failed_text="Some rows are dated ahead of the helpdesk's clock. No later change will "
        "replace them. Correct or delete them and run `helpdesk-assets sync --full`.",
    )


def watermark_fresh(evidence: Evidence) -> CheckResult:
    """Whether the sync keeps up with its schedule.

    The lag is measured against the later of two clocks, this machine's and the warehouse's, so that
    a slow clock cannot hide a sync that has stopped.
    """
    state = evidence.state
    watermark = state.watermark if state else None
    if state is None or watermark is None:
        return CheckResult(
            "watermark_fresh",
            passed=False,
            severity=Severity.WARN,
            description="There is no watermark yet: no run has read a whole window. Until one "
            "does, every run lists all tickets.",
            facts={"watermark": None, "watermark_lag_seconds": 0.0},
        )
    lag = max(evidence.now, state.closed_at or evidence.now) - watermark
    text = "The watermark keeps up with the schedule."
    if lag > STALE_AFTER:
        text = (
            f"The watermark is {lag.total_seconds() / 3600:.1f} h old. Check the latest runs: are "
            "they scheduled, do they fail, do they fall back to the listing?"
        )
    return CheckResult(
        "watermark_fresh",
        passed=lag <= STALE_AFTER,
        severity=Severity.ERROR if lag > STALE_ERROR_AFTER else Severity.WARN,
        description=text,
        facts={"watermark": watermark, "watermark_lag_seconds": lag.total_seconds()},
    )


ALL_CHECKS = (
    webhook_gaps,
    webhook_silence,
    webhook_latency,
    overlap_too_small,
    no_fallback,
    read_whole,
    table_shrank,
    one_row_per_ticket,
    no_null_keys_or_times,
    no_time_in_the_future,
    watermark_fresh,
)


def evaluate_checks(evidence: Evidence) -> tuple[CheckResult, ...]:
    """Runs all checks, the most important ones for a reader first."""
    return tuple(check(evidence) for check in ALL_CHECKS)


def _what_was_done(manifest: Manifest | None) -> str:
    if manifest is not None and manifest.mode is Mode.FULL and manifest.advances_watermark:
        return (
            "This run has read every ticket again, so what the helpdesk still has is back. Find "
            "out who changes the dataset: nothing here deletes rows."
        )
    return (
        "The next run reads every ticket again. Find out who changes the dataset: nothing here "
        "deletes rows."
    )


def _table_check(
    name: str, evidence: Evidence, counts: Mapping[str, int], *, passed_text: str, failed_text: str
) -> CheckResult:
    rows = (evidence.latest or RunCounts()).rows
    return CheckResult(
        name,
        passed=not any(counts.values()),
        severity=Severity.ERROR,
        description=failed_text if any(counts.values()) else passed_text,
        facts={**counts, "table_rows": rows},
    )


def _distinct_tickets(manifest: Manifest, facts: RunCounts) -> int:
    """Distinct tickets of the batch; of a large one as they were counted where it is staged."""
    if manifest.versions is None:
        return facts.batch_tickets
    return len({version.ticket_id for version in manifest.versions})


def _count_mismatches(manifest: Manifest, facts: RunCounts) -> list[str]:
    stored, fetched = facts.tickets, _distinct_tickets(manifest, facts)
    problems = []
    if manifest.rows and not stored:
        problems.append(f"{manifest.rows} rows were fetched, but none of their tickets is stored.")
    elif stored < fetched or (stored > fetched and not facts.repeated_keys):
        problems.append(f"{fetched} tickets were fetched, but {stored} of them are stored.")
    elif stored > manifest.rows and not facts.repeated_keys:
        problems.append(f"{manifest.rows} rows were fetched but {stored} tickets were counted.")
    if facts.rows < stored:
        problems.append(f"{stored} tickets were counted in a table of {facts.rows} rows.")
    if not manifest.pages or not manifest.api.calls:
        problems.append("No page was read.")
    return problems


def _read_counts(manifest: Manifest | None, facts: RunCounts) -> dict[str, Any]:
    return {
        "window_since": manifest.window.since if manifest else None,
        "window_until": manifest.window.until if manifest else None,
        "pages": manifest.pages if manifest else 0,
        "api_calls": manifest.api.calls if manifest else 0,
        "api_bytes": manifest.api.bytes_received if manifest else 0,
        "rows_fetched": manifest.rows if manifest else 0,
        "bad_tickets": manifest.bad_count if manifest else 0,
        "tickets_fetched": _distinct_tickets(manifest, facts) if manifest else 0,
        "tickets_stored": facts.tickets,
        "rows_inserted": facts.inserted,
        "rows_updated": facts.updated,
        "rows_unchanged": facts.unchanged,
        "rows_rejected_as_older": facts.rejected,
    }
