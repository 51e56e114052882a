"""What `status` and `doctor` say of webhooks that wait to be merged."""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.model.webhook_events import WaitingEvents
from helpdesk_assets.operations.drain import EVERYTHING, may_wait
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables


def read_waiting(sync_tables: SyncTables, now: datetime) -> WaitingEvents | None:
    """Return which events wait; None without a receiver.

    Costs one query job, and none if the tables' metadata say that nothing waits.
    """
    if not sync_tables.has_webhook_events():
        return None
    if not may_wait(sync_tables, everything=True):
        return WaitingEvents()
    return sync_tables.waiting_events(now - EVERYTHING)
