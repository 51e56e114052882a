"""Ways to put credentials on a request, for every adapter: a token in a header, or a basic user.

Must not know where requests go, nor any vendor.
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
    """Puts credentials on a request, and knows what must never be shown of them."""

    @property
    def secrets(self) -> Collection[str]: ...

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest: ...

    def renew(self, rejected: str) -> bool:
        """The helpdesk answered 401 to a request whose `Authorization` was `rejected`. True where
        new credentials are there now, so that the request may be sent once more."""
        ...


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """`Authorization: <scheme> <token>`."""

    token: str = field(repr=False)
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        # requests quotes a header value that it refuses, so such a token may not get that far.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise SettingsError(
                "HELPDESK_API_TOKEN holds a space, a line end or a character outside ASCII, "
                "which no token has. Copy it again."
            )

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.token,)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"{self.scheme} {self.token}"
        return request

    def renew(self, rejected: str) -> bool:  # noqa: ARG002 - a token of the settings stays as it is
        return False


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """`Authorization: Basic`, in UTF-8; which of the two is the secret is the vendor's choice."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        # A single letter is a vendor's convention and no secret; masked, it would garble messages.
        return tuple(s for s in (self.password, self.user, self._encoded) if len(s) > 1)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Basic {self._encoded}"
        return request

    def renew(self, rejected: str) -> bool:  # noqa: ARG002 - as in TokenAuth
        return False

    @property
    def _encoded(self) -> str:
        return b64encode(f"{self.user}:{self.password}".encode()).decode()


def api_token(settings: Settings) -> str:
    """
    Raises:
        SettingsError: HELPDESK_API_TOKEN is empty.
    """
    token = settings.helpdesk_api_token.get_secret_value().strip()
    if not token:
        raise SettingsError("HELPDESK_API_TOKEN is empty. Set it to a token that may read tickets.")
    return token
