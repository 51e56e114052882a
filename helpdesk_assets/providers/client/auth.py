"""Authentication for every adapter: a token in a header, or basic authentication.

Must not know any vendor or where requests go.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

import requests

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings


class Auth(Protocol):
    """Puts credentials on a request and knows which parts of them to mask."""

    @property
    def secrets(self) -> Collection[str]:
        """The texts that no message or log may show."""
        ...

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials on a request."""
        ...

    def renew(self, rejected: str, *, again: bool = False) -> bool:
        """Renew credentials that the helpdesk has answered with 401.

        Args:
            rejected: the `Authorization` header of the rejected request.
            again: whether the same call has been rejected before, with earlier credentials.

        Returns:
            True if new credentials are available, so the request may be sent once more.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """Sends `Authorization: <scheme> <token>`."""

    token: str = field(repr=False)
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        # requests quotes an invalid header value in its error, so this check must come first.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise SettingsError(
                "HELPDESK_API_TOKEN holds a space, a line end or a character outside ASCII, "
                "which no token has. Copy it again."
            )

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Auth.secrets`."""
        return (self.token,)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """See `Auth.__call__`."""
        request.headers["Authorization"] = f"{self.scheme} {self.token}"
        return request

    def renew(
        self,
        rejected: str,  # noqa: ARG002 - a token from the settings is fixed
        *,
        again: bool = False,  # noqa: ARG002
    ) -> bool:
        """See `Auth.renew`."""
        return False


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """Sends `Authorization: Basic` in UTF-8; the vendor decides which of the two is secret."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Auth.secrets`."""
        # A single letter is a vendor's convention, not a secret; masking it would garble messages.
        return tuple(s for s in (self.password, self.user, self._encoded) if len(s) > 1)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """See `Auth.__call__`."""
        request.headers["Authorization"] = f"Basic {self._encoded}"
        return request

    def renew(self, rejected: str, *, again: bool = False) -> bool:  # noqa: ARG002 - as in TokenAuth
        """See `Auth.renew`."""
        return False

    @property
    def _encoded(self) -> str:
        return b64encode(f"{self.user}:{self.password}".encode()).decode()


def api_token(settings: Settings) -> str:
    """Return HELPDESK_API_TOKEN without surrounding whitespace.

    Raises:
        SettingsError: HELPDESK_API_TOKEN is empty.
    """
    token = settings.helpdesk_api_token.get_secret_value().strip()
    if not token:
        raise SettingsError("HELPDESK_API_TOKEN is empty. Set it to a token that may read tickets.")
    return token
