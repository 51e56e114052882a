"""Merge the webhooks that wait before a sync reads the helpdesk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from helpdesk_assets.errors import FirstSyncNeeded, RetryableError
from helpdesk_assets.operations.drain import DrainPolicy, drain
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.warehouse.base import Warehouse

log = logging.getLogger(__name__)


def drain_first(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    policy: DrainPolicy,
    *,
    run_id: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Merge the webhooks that wait, so that the run judges and compares what they brought.

    What fails here for a while waits for the next drain, and the sync goes on: it brings the same
    changes, and events count as delivered when they are stored.

    Args:
        helpdesk: where from.
        warehouse: where to.
        policy: how much is merged.
        run_id: names the run in every table.
        now: this machine's clock.

    Raises:
        UserError: a person has to change something, which would stop the sync as well.
    """
    try:
        report = drain(helpdesk, warehouse, run_id=run_id, everything=True, policy=policy, now=now)
    except FirstSyncNeeded as error:
        log.info("%s", error)
    except RetryableError as error:
        log.warning("The waiting webhooks are left to the next drain. %s", error)
    else:
        if report.error is not None:
            log.warning(
                "%d of %d waiting webhooks are left to the next drain. %s",
                report.left,
                report.waiting,
                report.error,
            )
