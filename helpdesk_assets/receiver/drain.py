"""What a receiver that drains by itself does: the drain of the command line, with its helpdesk."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import timedelta
from functools import partial

from helpdesk_assets.operations.drain import DrainPolicy, drain
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.receiver.wiring import Merge
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables


def merge_of(settings: Settings) -> Merge:
    """Return what merges the events that wait in the dataset of the settings."""
    return partial(_merge, settings)


def _merge(settings: Settings, helpdesk: Helpdesk) -> int:
    """Drain once, with a client of its own, and return how many events still wait.

    Raises:
        HelpdeskAssetsError: the drain failed, or the helpdesk did not answer for some events.
    """
    with closing(connect(settings)) as warehouse:
        report = drain(
            helpdesk,
            SyncTables.from_settings(warehouse, settings),
            run_id=uuid.uuid4().hex,
            everything=False,
            policy=DrainPolicy.from_settings(settings),
            wait=timedelta(0),
        )
    if report.error is not None:
        raise report.error
    return report.left
