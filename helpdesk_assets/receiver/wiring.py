"""Creates the receiver's dependencies from settings, so that it rejects a mistake at startup.

It calls neither the helpdesk nor the warehouse: a receiver that starts while either is down can ask
vendors to retry; one that does not start cannot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.registry import make_helpdesk, make_webhook_format
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.providers.webhooks.verification import load_secrets
from helpdesk_assets.receiver.credentials import RenewableHelpdesk
from helpdesk_assets.receiver.group_commit import BatchingPolicy
from helpdesk_assets.receiver.refusals import RefusalSink, RefusalStore
from helpdesk_assets.receiver.store import DeliveryStore
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

# In seconds; shorter than the sync's, because a vendor waits for the answer and will retry.
WEBHOOK_DEADLINES = Deadlines(request=30.0, call=6.0, job=60.0)


class InterruptibleSleep:
    """A sleep that ends when the receiver stops."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds.

        Raises:
            EndpointFailed: the receiver is stopping.
        """
        if self._stopped.wait(seconds):
            raise EndpointFailed("The receiver was stopped while a call waited for a retry.")

    def stop(self) -> None:
        """End all current and later waits."""
        self._stopped.set()


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the receiver works with.

    Attributes:
        webhook_format: verifies and reads the helpdesk's posts.
        secrets: WEBHOOK_SECRETS; if empty, every post is accepted.
        fetcher: fetches tickets that events only name.
        store: writes deliveries.
        refusals: writes the names of events that are not stored.
        batching: when a group is written.
        queue_size: the most events to hold.
        shown_within: how long the helpdesk may take to show a new ticket.
        interruptible_sleep: the waits of helpdesk and warehouse.
    """

    webhook_format: WebhookFormat
    secrets: tuple[str, ...] = field(repr=False)
    fetcher: TicketFetcher
    store: DeliveryStore
    refusals: RefusalSink
    batching: BatchingPolicy
    queue_size: int
    shown_within: timedelta
    interruptible_sleep: InterruptibleSleep

    def close(self) -> None:
        """End all waits and close all connections."""
        self.interruptible_sleep.stop()
        self.fetcher.close()
        self.store.close()


def open_dependencies(
    settings: Settings,
    *,
    insecure: bool = False,
    read_again: Callable[[], Settings] | None = None,
) -> Dependencies:
    """Create the dependencies.

    Args:
        settings: the settings of helpdesk, warehouse and webhooks.
        insecure: accept unsigned posts if WEBHOOK_SECRETS is empty.
        read_again: reads the settings again when the helpdesk refuses its credentials; None: they
            stay as they are.

    Raises:
        SettingsError: WEBHOOK_SECRETS is empty without `insecure`, or a setting is invalid.
    """
    webhook_format, secrets = make_webhook_format(settings), load_secrets(settings)
    if not secrets and not insecure:
        raise SettingsError(
            "WEBHOOK_SECRETS is empty, so anybody could write tickets. Set it to the secret that "
            f"{webhook_format.name} signs with or sends; to accept unsigned posts from this "
            "machine only, use --insecure."
        )
    interruptible_sleep = InterruptibleSleep()
    warehouse = connect(settings, deadlines=WEBHOOK_DEADLINES, sleep=interruptible_sleep.sleep)
    runtime = Runtime(sleep=interruptible_sleep.sleep)
    helpdesk = RenewableHelpdesk(settings, lambda new: make_helpdesk(new, runtime), read_again)
    return Dependencies(
        webhook_format=webhook_format,
        secrets=secrets,
        fetcher=TicketFetcher(helpdesk, concurrency=settings.helpdesk_concurrency),
        store=DeliveryStore(
            warehouse,
            before_first_write=partial(_own_dataset, warehouse, settings, helpdesk.current),
            has_closed=SyncTables.from_settings(warehouse, settings).has_closed,
        ),
        refusals=RefusalStore(
            warehouse,
            before_first_write=partial(_expect_own, warehouse, settings, helpdesk.current),
        ),
        batching=BatchingPolicy(
            settings.webhook_flush_events,
            settings.webhook_flush_seconds,
            settings.webhook_quiet_seconds,
        ),
        queue_size=settings.webhook_queue_size,
        shown_within=settings.listing_delay,
        interruptible_sleep=interruptible_sleep,
    )


def _own_dataset(client: BigQueryClient, settings: Settings, helpdesk: Helpdesk) -> None:
    """Refuse a dataset of another account; else note in it whose tickets it holds.

    Raises:
        AccountMismatch: the dataset holds the tickets of another account.
    """
    sync_tables = SyncTables.from_settings(client, settings)
    sync_tables.claim(check_account(sync_tables, helpdesk.capabilities).digest)


def _expect_own(client: BigQueryClient, settings: Settings, helpdesk: Helpdesk) -> None:
    """Refuse a dataset of another account, and note nothing in it.

    Raises:
        AccountMismatch: the dataset holds the tickets of another account.
    """
    check_account(SyncTables.from_settings(client, settings), helpdesk.capabilities)
