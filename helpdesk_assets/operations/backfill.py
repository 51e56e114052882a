"""Read one span of time, again or for the first time, beside the scheduled sync.

For histories of many millions of tickets: a month at a time, on any number of machines. A backfill
ends where the sync's next window begins: there the sync judges webhooks, and a change that a
backfill has merged no longer looks missed. The watermark stays. Must not know Dagster, nor who
chooses the spans.
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
    """Read what changed in `[since, until]` and merge it. It judges no webhooks.

    An interrupted span is read again from its beginning.

    Args:
        helpdesk: where from.
        warehouse: where to.
        since: start of the span.
        until: end of the span; cut where the sync's next window begins.
        policy: as for a sync.
        run_id: names the run in every table.
        on_page: called after every page.
        now: this machine's clock.

    Returns:
        What was done; None if the sync has not passed any of the span yet.

    Raises:
        HelpdeskAssetsError: as `run_sync`.
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
        purpose="backfill",
        on_page=on_page,
    )


def _end(
    helpdesk: Helpdesk, warehouse: Warehouse, until: datetime, policy: SyncPolicy, now: datetime
) -> datetime | None:
    """Return the end of the span or, if earlier, the beginning of the sync's next window.

    Without a watermark, a span that is not over ends by the helpdesk's clock, which is None.
    """
    state = warehouse.read_state()
    if state is None or state.watermark is None:
        return until if until <= now else None
    return min(until, state.watermark - policy.lookback(helpdesk.capabilities))
