"""Creates the receiver's dependencies from settings, so that it rejects a mistake at startup.

It calls neither the helpdesk nor the warehouse: a receiver that starts while either is down can ask
vendors to retry; one that does not start cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk, make_webhook_format
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.providers.webhooks.verification import load_secrets
from helpdesk_assets.receiver.append_queue import EventSink
from helpdesk_assets.receiver.credentials import RenewableHelpdesk
from helpdesk_assets.receiver.drain_timer import Drain
from helpdesk_assets.receiver.event_store import EventStore
from helpdesk_assets.receiver.refusals import RefusalSink
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect, open_appender
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

# In seconds; shorter than the sync's, because a vendor waits for the answer and will retry.
WEBHOOK_DEADLINES = Deadlines(request=3.0, call=3.0, job=60.0)
# An append that takes longer is given up a little before the vendor is answered.
APPEND_SECONDS = 8.0
ANSWER_SECONDS = 0.5

# Merges what waits with this helpdesk's help, and returns how many events still wait.
Merge = Callable[[Helpdesk], int]


class Store(EventSink, RefusalSink, Protocol):
    """Where events and refusals are appended."""

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the receiver works with.

    Attributes:
        webhook_format: verifies and reads the helpdesk's posts.
        secrets: WEBHOOK_SECRETS; if empty, every post is accepted.
        store: appends events, and the names of those that are refused.
        queue_size: the most events to hold.
        helpdesk: the helpdesk that the drain asks.
        drain: merges what was appended; None: others do it.
        drain_seconds: how often; 0: others do it.
    """

    webhook_format: WebhookFormat
    secrets: tuple[str, ...] = field(repr=False)
    store: Store
    queue_size: int
    helpdesk: RenewableHelpdesk
    drain: Drain | None
    drain_seconds: float

    def close(self) -> None:
        """Close all connections."""
        self.store.close()
        self.helpdesk.close()


def open_dependencies(
    settings: Settings,
    *,
    insecure: bool = False,
    read_again: Callable[[], Settings] | None = None,
    merge: Merge | None = None,
) -> Dependencies:
    """Create the dependencies.

    Args:
        settings: the settings of helpdesk, warehouse and webhooks.
        insecure: accept unsigned posts if WEBHOOK_SECRETS is empty.
        read_again: reads the settings again when the helpdesk refuses its credentials; None: they
            stay as they are.
        merge: merges what was appended; None: others do it.

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
    helpdesk = RenewableHelpdesk(settings, make_helpdesk, read_again)
    capabilities = helpdesk.current.capabilities
    warehouse = connect(settings, deadlines=WEBHOOK_DEADLINES)
    deadline = min(APPEND_SECONDS, webhook_format.timeout - ANSWER_SECONDS)
    sync_tables = SyncTables.from_settings(warehouse, settings)
    return Dependencies(
        webhook_format=webhook_format,
        secrets=secrets,
        store=EventStore(
            open_appender(settings, warehouse, deadline=deadline),
            warehouse,
            claim=partial(_claim, sync_tables, capabilities),
            check=partial(check_account, sync_tables, capabilities),
        ),
        queue_size=settings.webhook_queue_size,
        drain=None if merge is None else partial(helpdesk.call, merge),
        helpdesk=helpdesk,
        drain_seconds=settings.webhook_drain_seconds,
    )


def _claim(sync_tables: SyncTables, capabilities: Capabilities) -> None:
    """Refuse a dataset of another account; else note in it whose events it holds.

    Raises:
        AccountMismatch: the dataset holds the tickets of another account.
    """
    sync_tables.claim_events(check_account(sync_tables, capabilities).digest)
