"""Whether webhooks deliver, and whether polling's overlap is long enough to check on them.

The checks use the counts that the last run made when it was committed. If nothing was judged (no
webhook was ever stored, a first load, a night without changes), a check passes, says so and why,
and gives no number for what it does not know. A check that pages for nothing gets switched off, and
then nobody sees the one that matters.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from helpdesk_assets.checks.evidence import CheckResult, CheckThresholds, Evidence, Severity
from helpdesk_assets.formatting import pluralized
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.webhooks import JudgedBy, WebhookCounts

MAX_TICKET_IDS = 10
# A change found this close to the start of a window means that the next one may lie outside.
NEAR_EDGE_SHARE = 0.8
GUIDE = "See docs/webhook-gaps.md."


def webhook_gaps(evidence: Evidence) -> CheckResult:
    """Whether webhooks delivered every change that they should have."""
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    missed, changes = facts.missed_total, _judged_changes(facts)
    share = min(1.0, missed / changes) if changes else float(missed > 0)
    is_judged = facts.webhooks.is_judged
    return CheckResult(
        "webhook_gaps",
        passed=not is_judged or missed < thresholds.gap_warn_count,
        severity=Severity.ERROR
        if _exceeds_error_thresholds(missed, changes, share, thresholds)
        else Severity.WARN,
        description=_gaps_text(facts, thresholds),
        facts={
            "missed": missed if is_judged else None,
            "changes": changes if is_judged else None,
            "share": share if is_judged and changes else None,
            "pending": facts.webhooks.pending if is_judged else None,
            "lag_max_seconds": max((m.lag_seconds for m in facts.missed), default=None),
            "since": facts.missed_since,
            "ticket_ids": [m.ticket_id for m in facts.missed[:MAX_TICKET_IDS]],
            "missed_named": facts.missed,
        },
    )


def _gaps_text(facts: RunCounts, thresholds: CheckThresholds) -> str:
    """Say what was judged, and claim nothing of the rest."""
    counts, changes = facts.webhooks, _judged_changes(facts)
    if not counts.is_judged:
        return _not_judged(counts)
    texts = []
    if facts.missed_total:
        texts.append(
            f"{facts.missed_total} of {changes} changed tickets were not delivered by a webhook. "
            f"The sync has repaired them. Check the webhook's log in the helpdesk. {GUIDE}"
        )
    elif changes:
        late = f", {pluralized(counts.late, 'change')} late" if counts.late else " in time"
        texts.append(f"Webhooks delivered every change{late}.")
    if counts.pending:
        are = "change is" if counts.pending == 1 else "changes are"
        next_run = "the next run judges"
        if counts.judged_by is JudgedBy.TABLE:
            next_run = "by the table alone, no run can judge"
        texts.append(
            f"{counts.pending} {are} younger than {thresholds.grace.total_seconds():.0f} s "
            f"(WEBHOOK_GRACE_SECONDS); {next_run} {'it' if counts.pending == 1 else 'them'}."
        )
    return " ".join(texts) or "Nothing was judged: this run found no new change."


def _not_judged(counts: WebhookCounts) -> str:
    text = counts.text
    return f"{text[0].upper()}{text[1:]}."


def webhook_silence(evidence: Evidence) -> CheckResult:
    """Whether events reach the receiver while tickets change.

    Its endpoint may be down or unsubscribed, or its secret wrong. Every change is missed then,
    without a single failure on this side.
    """
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    counts, manifest = facts.webhooks, evidence.manifest
    served = manifest.served_at if manifest else evidence.now
    since, unheard = counts.first_change_since_last_event, counts.changes_since_last_event
    seconds = (served - since).total_seconds() if since else 0.0
    silent = unheard >= thresholds.silence_changes and seconds >= thresholds.silence.total_seconds()
    text = "Webhooks arrive, or too few tickets have changed to judge."
    if silent:
        last = (
            f"at {counts.last_event:%Y-%m-%d %H:%M:%S} UTC"
            if counts.last_event
            else "before this week or never"
        )
        text = (
            f"{unheard} changes were made, but no webhook has arrived for {seconds / 60:.0f} min; "
            f"the last event came {last}. Check that the receiver is up, that the helpdesk still "
            f"sends to it, and that both use the same secret. {GUIDE}"
        )
    is_known = counts.judged_by is JudgedBy.EVENTS
    return CheckResult(
        "webhook_silence",
        passed=not silent,
        severity=Severity.ERROR,
        description=text if is_known else _without_events(counts),
        facts={
            "changes_unheard": unheard if is_known else None,
            "silent_seconds": seconds if is_known else None,
            "since": since,
            "last_event": counts.last_event,
        },
    )


def _without_events(counts: WebhookCounts) -> str:
    """Say why events are not judged."""
    if counts.judged_by is JudgedBy.TABLE:
        return "Not judged: the tickets table alone shows what was delivered, and not when."
    return _not_judged(counts)


def webhook_latency(evidence: Evidence) -> CheckResult:
    """Whether webhooks are stored within WEBHOOK_LATENCY_SECONDS of the change."""
    facts, thresholds = evidence.latest or RunCounts(), evidence.thresholds
    counts = facts.webhooks
    p95, is_known = counts.latency_p95, counts.judged_by is JudgedBy.EVENTS
    enough = counts.events >= thresholds.minimum_changes
    slow = p95 is not None and p95 > thresholds.latency_seconds and enough
    text = "95% of webhooks are fast enough, or too few came to judge."
    if slow:
        text = (
            f"5% of webhooks were stored more than {p95:.0f} s after the change; the limit "
            f"WEBHOOK_LATENCY_SECONDS is {thresholds.latency_seconds:.0f}. Check whether the "
            f"helpdesk sends late or the receiver waits for the warehouse. {GUIDE}"
        )
    return CheckResult(
        "webhook_latency",
        passed=not slow,
        severity=Severity.WARN,
        description=text if is_known else _without_events(counts),
        facts={
            "events": counts.events if is_known else None,
            "late": counts.late if is_known else None,
            "latency_p50_seconds": counts.latency_p50,
            "latency_p95_seconds": p95,
        },
    )


def overlap_too_small(evidence: Evidence) -> CheckResult:
    """Whether polling finds changes well within its overlap.

    If the helpdesk's search index lags by more than the overlap, polling misses changes too.
    """
    facts, overlap = evidence.latest or RunCounts(), _effective_overlap(evidence).total_seconds()
    unpolled = facts.webhooks.webhook_only
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
            "webhook_only": unpolled if facts.webhooks.judged_by is JudgedBy.EVENTS else None,
            "behind_p99_seconds": facts.index_lag_p99,
            "overlap_seconds": overlap,
            "overlap_wanted_seconds": float(suggested_seconds) if unpolled or late else overlap,
        },
    )


def _judged_changes(facts: RunCounts) -> int:
    """The number of changes that `missed` is a share of: those that this run judged."""
    return max(facts.webhooks.judged, facts.missed_total)


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
