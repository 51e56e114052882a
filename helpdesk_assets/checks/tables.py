"""The judgements themselves, from what a run reported. Pure: knows neither Dagster nor a client.

Counts about the whole tickets table were made by the statement that closed the last run; nothing is
asked of the warehouse again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from helpdesk_assets.checks.evidence import Evidence, Severity, Verdict
from helpdesk_assets.checks.webhooks import (
    overlap_too_small,
    webhook_gaps,
    webhook_latency,
    webhook_silence,
)
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunFacts

# Two ticks of the two-hour schedule: one that is late is noise. Twice that: nobody looked.
STALE_AFTER = timedelta(hours=4)
LOST_AFTER = timedelta(hours=8)


def no_fallback(evidence: Evidence) -> Verdict:
    """Whether the change endpoint answered."""
    manifest = evidence.manifest
    used = manifest is not None and manifest.fallback
    return Verdict(
        "no_fallback",
        passed=not used,
        severity=Severity.WARN,
        description=manifest.reason
        if manifest is not None and used
        else "The change endpoint answered.",
        facts={"fallback": int(used)},
    )


def read_whole(evidence: Evidence) -> Verdict:
    """Whether every row that was fetched is accounted for in the table, with the run's proof."""
    manifest, facts = evidence.manifest, evidence.facts
    if manifest is None or facts is None:
        return Verdict(
            "read_whole",
            passed=True,
            severity=Severity.ERROR,
            description="The latest batch has not been merged yet; nothing to compare.",
            facts=_proof(manifest, RunFacts()),
        )
    problems = _gaps_in(manifest, facts)
    return Verdict(
        "read_whole",
        passed=not problems,
        severity=Severity.ERROR,
        description=" ".join(problems) or "Every ticket that was fetched is in the table.",
        facts=_proof(manifest, facts),
    )


def one_row_per_ticket(evidence: Evidence) -> Verdict:
    return _of_table(
        "one_row_per_ticket",
        evidence,
        {"repeated_keys": (evidence.latest or RunFacts()).repeated_keys},
        good="Every ticket has one row.",
        bad="tickets holds rows whose ticket_id is there already. Something other than the sync "
        "inserts; keep the newest row of each and delete the others.",
    )


def no_null_keys_or_times(evidence: Evidence) -> Verdict:
    facts = evidence.latest or RunFacts()
    return _of_table(
        "no_null_keys_or_times",
        evidence,
        {"null_keys": facts.null_keys, "null_times": facts.null_times},
        good="Every row has its ticket_id and modifiedTime.",
        bad="tickets holds rows without ticket_id or modifiedTime. Something other than the sync "
        "writes them: such a row is never matched, or always counts as older.",
    )


def no_time_in_the_future(evidence: Evidence) -> Verdict:
    return _of_table(
        "no_time_in_the_future",
        evidence,
        {"future_times": (evidence.latest or RunFacts()).future_times},
        good="No modifiedTime is ahead of the helpdesk's clock.",
        bad="tickets holds rows dated ahead of the helpdesk's clock. No later change will replace "
        "them; correct or delete them and run a full sync.",
    )


def watermark_fresh(evidence: Evidence) -> Verdict:
    """Whether the sync keeps up. Measured against the later of two clocks, so that one clock that
    is slow does not hide a sync that stands still."""
    state = evidence.state
    watermark = state.watermark if state else None
    if state is None or watermark is None:
        return Verdict(
            "watermark_fresh",
            passed=False,
            severity=Severity.WARN,
            description="There is no watermark yet: no window has been read whole. Every run lists "
            "all tickets until one has.",
            facts={"watermark": None, "watermark_lag_seconds": 0.0},
        )
    lag = max(evidence.now, state.closed_at or evidence.now) - watermark
    text = "The watermark keeps up with the schedule."
    if lag > STALE_AFTER:
        text = (
            f"The watermark is {lag.total_seconds() / 3600:.1f} h old. Look at the latest runs: "
            "are they scheduled, do they fail, do they fall back to the listing?"
        )
    return Verdict(
        "watermark_fresh",
        passed=lag <= STALE_AFTER,
        severity=Severity.ERROR if lag > LOST_AFTER else Severity.WARN,
        description=text,
        facts={"watermark": watermark, "watermark_lag_seconds": lag.total_seconds()},
    )


ALL = (
    webhook_gaps,
    webhook_silence,
    webhook_latency,
    overlap_too_small,
    no_fallback,
    read_whole,
    one_row_per_ticket,
    no_null_keys_or_times,
    no_time_in_the_future,
    watermark_fresh,
)


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """Every verdict, in the order in which a reader wants them."""
    return tuple(verdict(evidence) for verdict in ALL)


def _of_table(
    name: str, evidence: Evidence, counts: Mapping[str, int], *, good: str, bad: str
) -> Verdict:
    rows = (evidence.latest or RunFacts()).rows
    return Verdict(
        name,
        passed=not any(counts.values()),
        severity=Severity.ERROR,
        description=bad if any(counts.values()) else good,
        facts={**counts, "table_rows": rows},
    )


def _distinct(manifest: Manifest) -> int | None:
    """How many tickets the batch holds; None for a large one, whose rows were not remembered."""
    if manifest.versions is None:
        return None
    return len({version.ticket_id for version in manifest.versions})


def _gaps_in(manifest: Manifest, facts: RunFacts) -> list[str]:
    found, fetched = facts.tickets, _distinct(manifest)
    problems = []
    if manifest.rows and not found:
        problems.append(f"{manifest.rows} rows were fetched and none of their tickets is stored.")
    elif fetched is not None and found != fetched:
        problems.append(f"{fetched} tickets were fetched and {found} of them are stored.")
    elif found > manifest.rows:
        problems.append(f"{manifest.rows} rows were fetched but {found} tickets were counted.")
    if facts.rows < found:
        problems.append(f"{found} tickets were counted in a table of {facts.rows} rows.")
    if not manifest.pages or not manifest.api.calls:
        problems.append("No page was read.")
    return problems


def _proof(manifest: Manifest | None, facts: RunFacts) -> dict[str, Any]:
    return {
        "window_since": manifest.window.since if manifest else None,
        "window_until": manifest.window.until if manifest else None,
        "pages": manifest.pages if manifest else 0,
        "api_calls": manifest.api.calls if manifest else 0,
        "api_bytes": manifest.api.bytes_received if manifest else 0,
        "rows_fetched": manifest.rows if manifest else 0,
        "bad_tickets": manifest.bad_count if manifest else 0,
        "tickets_fetched": _distinct(manifest) if manifest else 0,
        "tickets_stored": facts.tickets,
        "rows_inserted": facts.inserted,
        "rows_updated": facts.updated,
        "rows_unchanged": facts.unchanged,
        "rows_rejected_as_older": facts.rejected,
    }
