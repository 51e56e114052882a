"""Reads the helpdesk's credentials again when it refuses them, so that a rotation needs no restart.

Only credentials are taken over. Address and provider stay as they were at the start, since another
account has other tickets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from helpdesk_assets.errors import CredentialsRefused, SettingsError
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import Settings

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CREDENTIALS = (
    "helpdesk_user",
    "helpdesk_api_token",
    "zendesk_client_id",
    "zendesk_client_secret",
    "zoho_client_id",
    "zoho_client_secret",
    "zoho_refresh_token",
)
# Refused calls come with every webhook.
READ_AGAIN_SECONDS = 60.0


class RenewableHelpdesk:
    """The helpdesk with the credentials that were valid last; may be used from any thread."""

    def __init__(
        self,
        settings: Settings,
        make: Callable[[Settings], Helpdesk],
        read_again: Callable[[], Settings] | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the helpdesk of the settings.

        Args:
            settings: the settings at the start.
            make: creates the helpdesk that settings name.
            read_again: reads the settings again; None: they never change.
            monotonic: seconds of a clock that never jumps.

        Raises:
            SettingsError: a setting is missing or invalid.
        """
        self._settings = settings
        self._make = make
        self._read_again = read_again
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self.current = make(settings)

    def call(self, action: Callable[[Helpdesk], Result]) -> Result:
        """Do something with the helpdesk, and once more if its credentials have changed.

        Raises:
            CredentialsRefused: the helpdesk refuses the credentials, and there are no others.
        """
        helpdesk = self.current
        try:
            return action(helpdesk)
        except CredentialsRefused:
            renewed = self.renew(helpdesk)
            if renewed is None:
                raise
            return action(renewed)

    def renew(self, refused: Helpdesk) -> Helpdesk | None:
        """Return the helpdesk with other credentials, None if there are no others.

        Args:
            refused: the helpdesk whose credentials were refused.
        """
        with self._lock:
            if self.current is not refused:
                return self.current  # another thread has renewed it
            settings = self._changed_settings()
            if settings is None:
                return None
            try:
                renewed = self._make(settings)
            except SettingsError as error:
                log.warning("The helpdesk's credentials were read again. %s", error)
                return None
            log.warning("The helpdesk's credentials were refused and have been read again.")
            self._settings, self.current = settings, renewed
            refused.close()
            return renewed

    def close(self) -> None:
        """Close the connections."""
        self.current.close()

    def _changed_settings(self) -> Settings | None:
        now = self._monotonic()
        if self._read_again is None or (
            self._read_at is not None and now - self._read_at < READ_AGAIN_SECONDS
        ):
            return None
        self._read_at = now
        try:
            found = self._read_again()
        except SettingsError as error:
            log.warning("The helpdesk's credentials cannot be read again. %s", error)
            return None
        credentials = {name: getattr(found, name) for name in CREDENTIALS}
        changed = self._settings.model_copy(update=credentials)
        return None if changed == self._settings else changed
