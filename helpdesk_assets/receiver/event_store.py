"""Appends events and refusals to the warehouse. Must not know HTTP, vendors or tickets' columns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.warehouse import tables

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender
    from helpdesk_assets.warehouse.bigquery.client import BigQueryClient


class UntilItSucceeds:
    """Something to do once, before everything else; may be called by several threads."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action: Callable[[], object] | None = action
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Do it, unless it has been done."""
        with self._lock:
            if self._action is not None:
                self._action()
                self._action = None


class EventStore:
    """Appends to the tables of one dataset; may be used by several threads."""

    def __init__(
        self,
        appender: RowAppender,
        warehouse: BigQueryClient,
        *,
        claim: Callable[[], object] = lambda: None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Set up the store of one dataset.

        Args:
            appender: appends rows; closed with the store.
            warehouse: the client of the dataset; closed with the store.
            claim: before the first event, refuses a dataset of another account, and notes in it
                whose events it holds; asked until it succeeds.
            check: before the first refusal, refuses a dataset of another account; likewise.
        """
        self._appender = appender
        self._warehouse = warehouse
        self._claim, self._check = UntilItSucceeds(claim), UntilItSucceeds(check)

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        """See `EventSink.append_events`.

        Raises:
            AccountMismatch: the dataset holds the tickets of another account.
        """
        from helpdesk_assets.warehouse.bigquery.appender import RowsRefused

        self._claim()
        try:
            self._appender.append(tables.WEBHOOK_EVENTS, [event.row() for event in events])
        except RowsRefused as error:
            return {
                place: DataRefused(f"Ticket {events[place].ticket_id}: {reason}")
                for place, reason in error.reasons.items()
            }
        return {}

    def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        """See `RefusalSink.append_refusals`.

        Raises:
            AccountMismatch: the dataset holds the tickets of another account.
        """
        from helpdesk_assets.warehouse.bigquery.appender import RowsRefused

        self._check()
        # A refusal that cannot be stored either is given up: its vendor was told.
        with suppress(RowsRefused):
            self._appender.append(tables.WEBHOOK_REFUSALS, [refusal.row() for refusal in refusals])

    def close(self) -> None:
        """Close the connections."""
        self._appender.close()
        self._warehouse.close()
