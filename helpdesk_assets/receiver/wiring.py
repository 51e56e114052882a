"""What the receiver works with, made from settings; a mistake in them is told before it listens.

Nothing is asked of the helpdesk or the warehouse here: a receiver that starts while either is down
tells vendors to come again, which one that does not start cannot.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.registry import make_helpdesk, make_webhook_format
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.providers.webhooks.verification import load_secrets
from helpdesk_assets.receiver.group_commit import BatchingPolicy
from helpdesk_assets.receiver.store import REORDER_WINDOW, DeliveryStore
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines

# Somebody waits for the answer, and will send again: a sync may be patient, this may not.
WEBHOOK_DEADLINES = Deadlines(request=30.0, call=6.0, job=60.0)


class InterruptibleSleep:
    """Waiting that ends when the receiver does."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def sleep(self, seconds: float) -> None:
        """
        Raises:
            EndpointFailed: the receiver is being stopped.
        """
        if self._stopped.wait(seconds):
            raise EndpointFailed("The receiver was stopped while a call waited to be made again.")

    def stop(self) -> None:
        self._stopped.set()


@dataclass(frozen=True, slots=True)
class Dependencies:
    """`secrets` empty: every post is believed."""

    webhook_format: WebhookFormat
    secrets: tuple[str, ...] = field(repr=False)
    fetcher: TicketFetcher
    store: DeliveryStore
    batching: BatchingPolicy
    queue_size: int
    interruptible_sleep: InterruptibleSleep

    def close(self) -> None:
        self.interruptible_sleep.stop()
        self.fetcher.close()
        self.store.close()


def open_dependencies(settings: Settings, *, insecure: bool = False) -> Dependencies:
    """
    Args:
        settings: of the helpdesk, the warehouse and the webhooks.
        insecure: be content without WEBHOOK_SECRETS.

    Raises:
        SettingsError: there is no secret, or a setting that cannot be used.
    """
    webhook_format, secrets = make_webhook_format(settings), load_secrets(settings)
    if not secrets and not insecure:
        raise SettingsError(
            "WEBHOOK_SECRETS is empty, so anybody could write tickets. Set it to the secret that "
            f"{webhook_format.name} signs with or shows; on this machine alone, --insecure does "
            "without."
        )
    interruptible_sleep = InterruptibleSleep()
    warehouse = connect(settings, deadlines=WEBHOOK_DEADLINES, sleep=interruptible_sleep.sleep)
    helpdesk = make_helpdesk(settings, Runtime(sleep=interruptible_sleep.sleep))
    return Dependencies(
        webhook_format=webhook_format,
        secrets=secrets,
        fetcher=TicketFetcher(helpdesk, concurrency=settings.helpdesk_concurrency),
        store=DeliveryStore(
            warehouse, reorder_window=min(REORDER_WINDOW, settings.webhooks.lookback / 2)
        ),
        batching=BatchingPolicy(
            settings.webhook_flush_events,
            settings.webhook_flush_seconds,
            settings.webhook_quiet_seconds,
        ),
        queue_size=settings.webhook_queue_size,
        interruptible_sleep=interruptible_sleep,
    )
