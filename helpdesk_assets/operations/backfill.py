"""Read one span of time again, or for the first time, beside the sync and whatever else goes on.

For histories of many millions of tickets, a month at a time on as many machines as one likes. What
the sync has not passed yet is left to it: there it judges webhooks, and a change that a backfill
had merged before would not look missed any more. The watermark is not touched. Must not know
Dagster, nor who cuts time into spans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.warehouse.base import Warehouse


def backfill(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    since: datetime,
    until: datetime,
    policy: SyncPolicy,
    *,
    run_id: str,
    on_page: Callable[[Progress], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SyncReport | None:
    """Read what changed in `[since, until]` and merge it; None where all of it is the sync's yet.

    No webhook is judged by it. An interrupted span is read again from its beginning.

    Raises: as `pipeline.run_sync`.
    """
    end = _end(helpdesk, warehouse, until, policy, now())
    if end is not None and end <= since:
        return None
    return run_sync(
        helpdesk,
        warehouse,
        SyncRequest(since=since, until=end),
        replace(policy, webhooks=replace(policy.webhooks, enabled=False)),
        run_id=run_id,
        on_page=on_page,
    )


def _end(
    helpdesk: Helpdesk, warehouse: Warehouse, until: datetime, policy: SyncPolicy, now: datetime
) -> datetime | None:
    """Where the next window of the sync begins, if the span reaches that far. Without a watermark a
    span that is not over ends by the helpdesk's clock, which None asks for."""
    state = warehouse.read_state()
    if state is None or state.watermark is None:
        return until if until <= now else None
    return min(until, state.watermark - policy.lookback(helpdesk.capabilities))
