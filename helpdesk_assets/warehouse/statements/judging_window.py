"""What one run judges: the bounds in time, and the kinds of change that no webhook reports.

By the helpdesk's clock, which also dates the changes. Must not know tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.batch import BATCH_TTL, Manifest, Mode
from helpdesk_assets.model.judging import Judging, is_load
from helpdesk_assets.model.webhooks import Unsubscribed
from helpdesk_assets.warehouse.query import Parameter
from helpdesk_assets.warehouse.table_spec import ColumnType

# A vendor that has not delivered a webhook within a week no longer retries it.
LATE_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class JudgingWindow:
    """Bounds of what one run judges by events, all by the helpdesk's clock.

        open_since  stored_since  since  counted_after  settled          delivered_by  served_at
        |- `missed` rows that may turn `late` -----------------------------------------|
                    |- late ------|
                                  |- versions of this window ------------|
                                         |- judged first now ------------|
                                  |- events to poll ----|
                                                                         |- grace -----|

    Attributes:
        since: start of the run's window; nothing before it is judged by its time.
        stored_since: changes after this are judged too, if a delayed run stored them late, unless
            a load has read them.
        counted_after: changes after this are judged for the first time.
        delivered_by: changes up to this are judged: their grace period is over.
        settled: events up to this must have been polled by now, since no later window reaches
            back to them; None if the run did not read a whole window.
        open_since: `missed` rows detected since this may still turn `late`.
        merged_until: what a run stored before this has been merged, since each run that moved the
            watermark there merged all that it found.
    """

    since: datetime
    stored_since: datetime
    counted_after: datetime
    delivered_by: datetime
    settled: datetime | None
    open_since: datetime
    loaded_until: datetime | None = None
    merged_until: datetime | None = None

    @property
    def reads_from(self) -> datetime:
        """The oldest event or version that is read."""
        return min(self.stored_since, self.open_since)

    @property
    def heard_after(self) -> datetime:
        """Changes after this should have been heard of: they are known, and no load read them."""
        return max(self.reads_from, self.loaded_until or self.reads_from)

    def parameters(self) -> tuple[Parameter, ...]:
        """Return the bounds that a statement names; `settled` and `since` only together."""
        named = {
            "stored_since": self.stored_since,
            "counted_after": self.counted_after,
            "delivered_by": self.delivered_by,
            "open_since": self.open_since,
            "reads_from": self.reads_from,
        }
        if self.settled is not None:
            named |= {"since": self.since, "settled": self.settled}
        return tuple(Parameter(name, ColumnType.TIMESTAMP, at) for name, at in named.items())


def judging_window(manifest: Manifest, judging: Judging) -> JudgingWindow:
    """Return the bounds of a run.

    Over a requested range nothing is judged by its time: the syncs around it judge that time.
    """
    served, watermark, policy = manifest.served_at, manifest.initial_watermark, judging.policy
    since = stored_since = served
    if not is_load(manifest) and not manifest.is_range:
        if manifest.mode is Mode.INCREMENTAL and manifest.window.since is not None:
            since = manifest.window.since
        elif watermark is not None:
            since = watermark - policy.lookback
        # A delayed run may store what it read after other runs have judged that time, and then
        # fail or die.
        stored_since = since - BATCH_TTL
        if judging.loaded_until is not None:
            stored_since = min(served, max(stored_since, judging.loaded_until))
    lookback = watermark - since if watermark is not None else policy.lookback
    if manifest.lookback is not None:
        # This window may reach back further than the next one will.
        lookback = min(lookback, manifest.lookback)
    return JudgingWindow(
        since=since,
        stored_since=stored_since,
        counted_after=max(since, watermark - policy.grace) if watermark is not None else since,
        delivered_by=served - policy.grace,
        settled=manifest.window.until - lookback
        if since < served and manifest.advances_watermark
        else None,
        open_since=served - LATE_WITHIN,
        loaded_until=judging.loaded_until,
        merged_until=watermark,
    )


def unsubscribed_as_sql(
    alias: str, unsubscribed: Iterable[Unsubscribed]
) -> tuple[str, tuple[Parameter, ...]]:
    """Return the condition that webhooks are not subscribed to a version's kind of change.

    A version counts as `created` if its two times are within a second, as vendors set them.

    Args:
        alias: the version's alias in the statement.
        unsubscribed: the kinds of change, by conditions on columns.

    Returns:
        The condition, and the parameters that it names.
    """
    kinds, parameters = [], []
    for number, kind in enumerate(unsubscribed):
        tests = []
        for column, words in kind.conditions:
            name = f"unsubscribed_{number}_{column}"
            tests.append(f"{_column(alias, column)} IN UNNEST(@{name})")
            parameters.append(Parameter(name, ColumnType.STRING, words))
        kinds.append(f"({' AND '.join(tests)})")
    return (f"({' OR '.join(kinds)})" if kinds else "FALSE"), tuple(parameters)


def _column(alias: str, column: str) -> str:
    if column != "change":
        return f"IFNULL({alias}.{column}, '')"
    age = f"TIMESTAMP_DIFF({alias}.modifiedTime, {alias}.createdTime, MILLISECOND)"
    return (
        f"IF({alias}.deletedTime IS NOT NULL, 'deleted', IF({age} <= 1000, 'created', 'updated'))"
    )
