"""Whether webhooks deliver, and whether polling's overlap is long enough to check on them.

The checks use the counts that the last run made when it was committed. If there is nothing to judge
(no receiver of this project, a night without changes), a check passes and says so. A check that
pages for nothing gets switched off, and then nobody sees the one that matters.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from helpdesk_assets.checks.evidence import CheckResult, CheckThresholds, Evidence, Severity
from helpdesk_assets.formatting import pluralized
from helpdesk_assets.model.state import RunCounts

MAX_TICKET_IDS = 10
# A change found this close to the start of a window means that the next one may lie outside.
NEAR_EDGE_SHARE = 0.8
GUIDE = "See docs/webhook-gaps.md."


def webhook_gaps(evidence: Evidence) -> CheckResult:
    """Whether webhooks delivered every change that they should have."""
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    changes, missed = _judged_changes(facts), facts.missed_total
    share = min(1.0, missed / changes) if changes else float(missed > 0)
    text = "Webhooks delivered every change in time."
    if missed:
        text = (
            f"{missed} of {changes} changed tickets were not delivered by a webhook. The sync has "
            f"repaired them. Check the webhook's log in the helpdesk. {GUIDE}"
        )
    return CheckResult(
        "webhook_gaps",
        passed=missed < thresholds.gap_warn_count,
        severity=Severity.ERROR
        if _exceeds_error_thresholds(missed, changes, share, thresholds)
        else Severity.WARN,
        description=text,
        facts={
            "missed": missed,
            "changes": changes,
            "share": share,
            "lag_max_seconds": max((m.lag_seconds for m in facts.missed), default=0.0),
            "since": facts.missed_since,
            "ticket_ids": [m.ticket_id for m in facts.missed[:MAX_TICKET_IDS]],
            "missed_named": facts.missed,
        },
    )


def webhook_silence(evidence: Evidence) -> CheckResult:
    """Whether events reach the receiver while tickets change.

    Its endpoint may be down or unsubscribed, or its secret wrong. Every change is missed then,
    without a single failure on this side.
    """
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    webhook_counts, manifest = facts.webhooks, evidence.manifest
    served = manifest.served_at if manifest else evidence.now
    since = webhook_counts.first_change_since_last_event if webhook_counts else None
    seconds = (served - since).total_seconds() if since else 0.0
    count = webhook_counts.changes_since_last_event if webhook_counts else 0
    silent = count >= thresholds.silence_changes and seconds >= thresholds.silence.total_seconds()
    if manifest is not None and manifest.first_load:
        silent = False  # a first load reads changes from before the receiver existed
    text = "Webhooks arrive, or too few tickets have changed to judge."
    if webhook_counts is None:
        text = "Not judged: no receiver of this project has stored an event."
    elif silent:
        last = (
            f"at {webhook_counts.last_event:%Y-%m-%d %H:%M:%S} UTC"
            if webhook_counts.last_event
            else "before this week or never"
        )
        text = (
            f"{count} changes were made, but no webhook has arrived for {seconds / 60:.0f} min; "
            f"the last event came {last}. Check that the receiver is up, that the helpdesk still "
            f"sends to it, and that both use the same secret. {GUIDE}"
        )
    return CheckResult(
        "webhook_silence",
        passed=not silent,
        severity=Severity.ERROR,
        description=text,
        facts={
            "changes_unheard": count,
            "silent_seconds": seconds,
            "since": since,
            "last_event": webhook_counts.last_event if webhook_counts else None,
        },
    )


def webhook_latency(evidence: Evidence) -> CheckResult:
    """Whether webhooks bring changes into the table within WEBHOOK_LATENCY_SECONDS."""
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    webhook_counts = facts.webhooks
    p95 = (
        webhook_counts.latency_p95
        if webhook_counts and webhook_counts.latency_p95 is not None
        else 0.0
    )
    events = webhook_counts.events if webhook_counts else 0
    slow = p95 > thresholds.latency_seconds and events >= thresholds.minimum_changes
    text = "95% of webhooks are fast enough, or too few came to judge."
    if slow:
        text = (
            f"5% of webhooks took longer than {p95:.0f} s from the change to the table; the limit "
            f"WEBHOOK_LATENCY_SECONDS is {thresholds.latency_seconds:.0f}. Check whether the "
            f"helpdesk sends late or the receiver waits for the warehouse. {GUIDE}"
        )
    return CheckResult(
        "webhook_latency",
        passed=not slow,
        severity=Severity.WARN,
        description=text,
        facts={
            "events": events,
            "late": webhook_counts.late if webhook_counts else 0,
            "latency_p50_seconds": (webhook_counts.latency_p50 if webhook_counts else None) or 0.0,
            "latency_p95_seconds": p95,
        },
    )


def overlap_too_small(evidence: Evidence) -> CheckResult:
    """Whether polling finds changes well within its overlap.

    If the helpdesk's search index lags by more than the overlap, polling misses changes too.
    """
    facts, overlap = evidence.latest or RunCounts(), _effective_overlap(evidence).total_seconds()
    unpolled = facts.webhooks.webhook_only if facts.webhooks else 0
    late = facts.index_lag_p99 > NEAR_EDGE_SHARE * overlap
    suggested_seconds = max(
        2 * overlap if unpolled else 0, 60 * ceil(1.5 * facts.index_lag_p99 / 60)
    )
    text = "Polling finds changes well within its overlap."
    if unpolled or late:
        found = []
        if unpolled:
            found.append(f"{pluralized(unpolled, 'change')} came by webhook and not by polling")
        if late:
            found.append(
                f"1% of changes were found {facts.index_lag_p99:.0f} s behind the watermark"
            )
        text = (
            f"{'; '.join(found)}. The helpdesk's search index lags. Set "
            f"HELPDESK_OVERLAP_SECONDS={suggested_seconds:.0f} (it is {overlap:.0f})."
        )
    return CheckResult(
        "overlap_too_small",
        passed=not unpolled and not late,
        severity=Severity.WARN,
        description=text,
        facts={
            "webhook_only": unpolled,
            "behind_p99_seconds": facts.index_lag_p99,
            "overlap_seconds": overlap,
            "overlap_wanted_seconds": float(suggested_seconds) if unpolled or late else overlap,
        },
    )


def _judged_changes(facts: RunCounts) -> int:
    """The number of changes that `missed` is a share of.

    With a receiver: the changes judged by this run. Without one: the run's tickets.
    """
    webhook_counts = facts.webhooks
    return (
        facts.tickets if webhook_counts is None else max(webhook_counts.judged, facts.missed_total)
    )


def _effective_overlap(evidence: Evidence) -> timedelta:
    """How far every window reaches back. The helpdesk or the grace may require more than is set."""
    manifest, overlap = evidence.manifest, evidence.thresholds.overlap
    if manifest is not None and manifest.lookback is not None:
        return max(overlap, manifest.lookback)
    if manifest is None or manifest.initial_watermark is None or manifest.window.since is None:
        return overlap
    return max(overlap, manifest.initial_watermark - manifest.window.since)


def _exceeds_error_thresholds(
    missed: int, changes: int, share: float, thresholds: CheckThresholds
) -> bool:
    enough = changes >= thresholds.minimum_changes and missed >= thresholds.gap_error_count
    return enough and share > thresholds.gap_error_share
