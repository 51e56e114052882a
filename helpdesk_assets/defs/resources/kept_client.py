"""One client of google's for all steps of a run that share a process.

Each new client asks for a token and connects anew. What is read through it is kept by no step for
another: each binds the client to its dataset by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import open_client

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.connection import Client


class KeptClient:
    """A client that is opened when it is first needed, and stays open. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._client: Client | None = None

    @contextmanager
    def use(self, settings: Settings) -> Iterator[Client]:
        """Yields the client of these settings.

        After an error or other settings, the next use opens a new one: a retried step reads the
        credentials anew, as those of a new run would be.
        """
        try:
            yield self._opened(settings)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the client, if one is open."""
        with self._lock:
            self._close()

    def _opened(self, settings: Settings) -> Client:
        with self._lock:
            if self._client is None or settings != self._settings:
                self._close()
                self._client, self._settings = open_client(settings), settings
            return self._client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()  # type: ignore[no-untyped-call]
