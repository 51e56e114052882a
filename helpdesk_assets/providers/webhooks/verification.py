"""Who may post: signatures over the raw body, secrets in headers, and how old a post may be.

Every comparison takes the same time whatever it finds, and each of the secrets is tried, so that
the time of an answer tells neither how much was right nor which of them is in use. Knows no vendor.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.webhooks.events import Post
from helpdesk_assets.settings import Settings

# A secret that can be guessed is none; vendors that make one for you make longer ones.
SHORTEST_SECRET = 16


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The secrets of WEBHOOK_SECRETS, none where it is empty.

    Raises:
        SettingsError: one is too short.
    """
    text = settings.webhook_secrets.get_secret_value()
    secrets = tuple(text.replace(",", " ").split())
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise SettingsError(
            f"WEBHOOK_SECRETS holds a secret of fewer than {SHORTEST_SECRET} characters, which can "
            "be guessed. Make one with `openssl rand -hex 32`; several are separated by commas."
        )
    return secrets


def hex_digest(given: str) -> bytes:
    """
    Raises:
        ValueError: no hexadecimal digits.
    """
    return bytes.fromhex(given)


def base64_digest(given: str) -> bytes:
    """
    Raises:
        ValueError: no base64.
    """
    return base64.b64decode(given, validate=True)


def is_signed(
    secrets: Iterable[str], message: bytes, given: str | None, read: Callable[[str], bytes]
) -> bool:
    """Whether `given` is the HMAC-SHA256 of `message` under one of the secrets."""
    try:
        signature = read(given or "")
    except (ValueError, binascii.Error):
        signature = b""
    wanted = (hmac.digest(secret.encode(), message, "sha256") for secret in secrets)
    return _any_equal(wanted, signature)


def holds_secret(secrets: Iterable[str], given: str | None) -> bool:
    """Whether `given`, a header's value, is one of the secrets."""
    # A server hands on the bytes of a header as Latin-1.
    return _any_equal(
        (secret.encode() for secret in secrets), (given or "").encode("latin-1", "replace")
    )


def is_fresh(sent_at: datetime | None, now: datetime, tolerance: timedelta) -> bool:
    """Whether a signed post is of now: an old one may be somebody's copy of it."""
    return sent_at is not None and abs(now - sent_at) <= tolerance


def _any_equal(wanted: Iterable[bytes], given: bytes) -> bool:
    found = False
    for each in wanted:
        found |= hmac.compare_digest(each, given)
    return found


IN_URL = "secret"


def secret_of(post: Post, settings: Settings, *, in_url: bool = False) -> str | None:
    """The secret that a post shows, None where it shows none."""
    shown = post.headers.get(settings.webhook_secret_header.lower())
    return shown if shown is not None or not in_url else post.query.get(IN_URL)
