"""What a run judges of webhooks: by events, by the tickets table, or not at all, and why not.

The one place that decides it. The ledger, the counts of a run, the daily chart, `status` and
`doctor` all follow it. Values only: whether an event is stored is asked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhooks import (
    JudgedBy,
    LedgerSource,
    NotJudged,
    WebhookPolicy,
    judged_text,
)


@dataclass(frozen=True, slots=True)
class Judging:
    """What one run judges of webhooks.

    Attributes:
        by: what shows that a webhook delivered a change.
        policy: the grace period, and the changes that webhooks are not subscribed to.
        not_judged: why nothing is judged; None if something is.
        loaded_until: changes up to then are not judged by their time, since a load has read them.
        closed_runs: the last runs that closed. What they stored, they have merged.
    """

    by: JudgedBy
    policy: WebhookPolicy
    not_judged: NotJudged | None = None
    loaded_until: datetime | None = None
    closed_runs: tuple[str, ...] = ()

    @property
    def is_by_events(self) -> bool:
        """Whether the events of our receiver show what was delivered."""
        return self.by is JudgedBy.EVENTS

    @property
    def text(self) -> str:
        """By what webhooks are judged, or why they are not, for people."""
        return judged_text(self.by, self.not_judged)


# Of a run that says nothing of webhooks.
UNJUDGED = Judging(
    JudgedBy.NOTHING,
    WebhookPolicy(False, LedgerSource.AUTO, grace=timedelta(0), lookback=timedelta(0)),
    NotJudged.SWITCHED_OFF,
)


def depends_on_events(policy: WebhookPolicy) -> bool:
    """Return whether it matters to `judging` that an event is stored."""
    return policy.enabled is not False and policy.ledger_source is not LedgerSource.TABLE


def judging(policy: WebhookPolicy, *, has_events: bool) -> Judging:
    """Decide by what webhooks are judged.

    A helpdesk without webhooks never stores an event. With `auto`, nothing is called missed there.

    Args:
        policy: what is expected of webhooks.
        has_events: whether our receiver has stored any event.
    """
    if policy.enabled is False:
        return Judging(JudgedBy.NOTHING, policy, NotJudged.SWITCHED_OFF)
    if policy.ledger_source is LedgerSource.TABLE:
        return Judging(JudgedBy.TABLE, policy)
    if has_events:
        return Judging(JudgedBy.EVENTS, policy)
    if policy.enabled == "auto":
        return Judging(JudgedBy.NOTHING, policy, NotJudged.NO_EVENT)
    is_forced = policy.ledger_source is LedgerSource.EVENTS
    return Judging(JudgedBy.EVENTS if is_forced else JudgedBy.TABLE, policy)


def judging_of_run(
    policy: WebhookPolicy, manifest: Manifest, state: SyncState | None, *, has_events: bool
) -> Judging:
    """Decide what a run judges.

    A load judges nothing: every ticket is absent from the table, and no webhook is to blame.

    Args:
        policy: what is expected of webhooks.
        manifest: the run.
        state: the state row as it is now.
        has_events: whether our receiver has stored any event.
    """
    found = judging(policy, has_events=has_events)
    seen = state.facts.webhooks.loaded_until if state else None
    loaded_until, why = seen, found.not_judged
    if is_load(manifest):
        loaded_until = max(manifest.window.until, seen or manifest.window.until)
        if why is not NotJudged.SWITCHED_OFF:
            why = NotJudged.FIRST_LOAD if manifest.first_load else NotJudged.TABLE_LOST
    return Judging(
        by=found.by if why is None else JudgedBy.NOTHING,
        policy=policy,
        not_judged=why,
        loaded_until=loaded_until,
        closed_runs=tuple(
            run.run_id
            for run in (known_runs(state) if state else ())
            if run.run_id != manifest.run_id
        ),
    )


def is_load(manifest: Manifest) -> bool:
    """Return whether the run fills a table that was empty, lost or replaced."""
    return manifest.first_load or manifest.ground_reason is not None
