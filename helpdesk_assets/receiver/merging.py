"""Merges what was appended, for a receiver that drains by itself."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import timedelta

from helpdesk_assets.errors import WriterBusy
from helpdesk_assets.operations.drain import DrainPolicy, drain
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.receiver.wiring import Merge
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.lease_waiting import Sightings
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables


def merging(settings: Settings) -> Merge:
    """Return what merges the events that wait; it waits for no other writer.

    Args:
        settings: the settings of warehouse and webhooks.
    """
    policy, sightings = DrainPolicy.from_settings(settings), Sightings()

    def merge(helpdesk: Helpdesk) -> int:
        with closing(connect(settings)) as warehouse:
            try:
                report = drain(
                    helpdesk,
                    SyncTables.from_settings(warehouse, settings, sightings=sightings),
                    run_id=uuid.uuid4().hex,
                    everything=False,
                    policy=policy,
                    wait=timedelta(0),
                )
            except WriterBusy:
                return 1  # the next time
        if report.error is not None:
            raise report.error
        return report.left

    return merge
