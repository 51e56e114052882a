"""What one run judges: the bounds in time, and the kinds of change that nobody expects.

By the helpdesk's clock, since changes have its times. Knows no table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.batch import BATCH_TTL, Manifest, Mode
from helpdesk_assets.model.webhooks import Unsubscribed, WebhookPolicy
from helpdesk_assets.warehouse.query import Parameter
from helpdesk_assets.warehouse.table_spec import ColumnType

# A vendor that has not got its webhook through in a week has given it up.
LATE_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class JudgingWindow:
    """Bounds of what one run judges by events, all by the helpdesk's clock.

    Changes after `since` and up to `delivered_by` are judged; those after `counted_after` for the
    first time, those after `stored_since` if another run has stored them late. Events up to
    `settled` must have been polled by now, since no later window reaches back to them; None where
    the run did not read a whole window. Rows called missed since `open_since` may still turn late.
    No older event or version than `reads_from` is looked at.
    """

    since: datetime
    stored_since: datetime
    counted_after: datetime
    delivered_by: datetime
    settled: datetime | None
    open_since: datetime

    @property
    def reads_from(self) -> datetime:
        return min(self.stored_since, self.open_since)


def judging_window(manifest: Manifest, policy: WebhookPolicy) -> JudgingWindow:
    """The bounds of a run. On the first load, and over a range that somebody asked for, nothing is
    judged by its time: what webhooks were expected then is not known."""
    served, watermark = manifest.served_at, manifest.initial_watermark
    since = stored_since = served
    if not manifest.first_load and not manifest.is_range:
        if manifest.mode is Mode.INCREMENTAL and manifest.window.since is not None:
            since = manifest.window.since
        elif watermark is not None:
            since = watermark - policy.lookback
        # A run that was held up may store what it read after others have judged that time, and
        # then fail or die.
        stored_since = since - BATCH_TTL
    lookback = watermark - since if watermark is not None else policy.lookback
    return JudgingWindow(
        since=since,
        stored_since=stored_since,
        counted_after=max(since, watermark - policy.grace) if watermark is not None else since,
        delivered_by=served - policy.grace,
        settled=manifest.window.until - lookback
        if since < served and manifest.advances_watermark
        else None,
        open_since=served - LATE_WITHIN,
    )


def unsubscribed_as_sql(
    alias: str, unsubscribed: Iterable[Unsubscribed]
) -> tuple[str, tuple[Parameter, ...]]:
    """Whether a version is of a kind that the subscription leaves out, by its own columns.

    A new ticket is told by its two times: vendors set them within the same second.
    """
    kinds, parameters = [], []
    for number, kind in enumerate(unsubscribed):
        tests = []
        for column, words in kind.conditions:
            name = f"left_out_{number}_{column}"
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
