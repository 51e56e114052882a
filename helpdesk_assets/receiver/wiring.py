"""What the receiver works with, made from settings; a mistake in them is told before it listens.

Nothing is asked of the helpdesk or the warehouse here: a receiver that starts while either is down
tells vendors to come again, which one that does not start cannot.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.providers.client.connection import World
from helpdesk_assets.providers.registry import make_helpdesk, make_vendor
from helpdesk_assets.providers.webhooks.events import Vendor
from helpdesk_assets.providers.webhooks.verification import secrets_of
from helpdesk_assets.receiver.group_commit import Pace
from helpdesk_assets.receiver.store import UNDECIDED_FOR, DeliveryStore
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines

# Somebody waits for the answer, and will send again: a sync may be patient, this may not.
IMPATIENT = Deadlines(request=30.0, call=6.0, job=60.0)


class Pause:
    """Waiting that ends when the receiver does."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def sleep(self, seconds: float) -> None:
        """
        Raises:
            EndpointFailed: the receiver is being stopped.
        """
        if self._over.wait(seconds):
            raise EndpointFailed("The receiver was stopped while a call waited to be made again.")

    def end(self) -> None:
        self._over.set()


@dataclass(frozen=True, slots=True)
class Parts:
    """`secrets` empty: every post is believed."""

    vendor: Vendor
    secrets: tuple[str, ...] = field(repr=False)
    fetcher: TicketFetcher
    store: DeliveryStore
    pace: Pace
    queue_size: int
    pause: Pause

    def close(self) -> None:
        self.pause.end()
        self.fetcher.close()
        self.store.close()


def open_parts(settings: Settings, *, insecure: bool = False) -> Parts:
    """
    Args:
        settings: of the helpdesk, the warehouse and the webhooks.
        insecure: be content without WEBHOOK_SECRETS.

    Raises:
        SettingsError: there is no secret, or a setting that cannot be used.
    """
    vendor, secrets = make_vendor(settings), secrets_of(settings)
    if not secrets and not insecure:
        raise SettingsError(
            "WEBHOOK_SECRETS is empty, so anybody could write tickets. Set it to the secret that "
            f"{vendor.name} signs with or shows; on this machine alone, --insecure does without."
        )
    pause = Pause()
    warehouse = connect(settings, deadlines=IMPATIENT, sleep=pause.sleep)
    helpdesk = make_helpdesk(settings, World(sleep=pause.sleep))
    return Parts(
        vendor=vendor,
        secrets=secrets,
        fetcher=TicketFetcher(helpdesk, at_once=settings.helpdesk_concurrency),
        store=DeliveryStore(
            warehouse, undecided_for=min(UNDECIDED_FOR, settings.webhooks.reach / 2)
        ),
        pace=Pace(
            settings.webhook_flush_events,
            settings.webhook_flush_seconds,
            settings.webhook_quiet_seconds,
        ),
        queue_size=settings.webhook_queue_size,
        pause=pause,
    )
