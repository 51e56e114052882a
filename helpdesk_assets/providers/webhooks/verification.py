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
MIN_SECRET_CHARS = 16


def load_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets of WEBHOOK_SECRETS, none where it is empty.

    Raises:
        SettingsError: one is too short.
    """
    text = settings.webhook_secrets.get_secret_value()
    secrets = tuple(text.replace(",", " ").split())
    if any(len(secret) < MIN_SECRET_CHARS for secret in secrets):
        raise SettingsError(
            f"WEBHOOK_SECRETS holds a secret of fewer than {MIN_SECRET_CHARS} characters, which "
            "can be guessed. Make one with `openssl rand -hex 32`; several are separated by commas."
        )
    return secrets


def decode_hex(provided: str) -> bytes:
    """
    Raises:
        ValueError: no hexadecimal digits.
    """
    return bytes.fromhex(provided)


def decode_base64(provided: str) -> bytes:
    """
    Raises:
        ValueError: no base64.
    """
    return base64.b64decode(provided, validate=True)


def has_valid_signature(
    secrets: Iterable[str], message: bytes, provided: str | None, decode: Callable[[str], bytes]
) -> bool:
    """Whether `provided` is the HMAC-SHA256 of `message` under one of the secrets."""
    try:
        signature = decode(provided or "")
    except (ValueError, binascii.Error):
        signature = b""
    expected = (hmac.digest(secret.encode(), message, "sha256") for secret in secrets)
    return _any_equal(expected, signature)


def is_known_secret(secrets: Iterable[str], provided: str | None) -> bool:
    """Whether `provided`, a header's value, is one of the secrets."""
    # A server hands on the bytes of a header as Latin-1.
    return _any_equal(
        (secret.encode() for secret in secrets), (provided or "").encode("latin-1", "replace")
    )


def is_fresh(sent_at: datetime | None, now: datetime, tolerance: timedelta) -> bool:
    """Whether a signed post is of now: an old one may be somebody's copy of it."""
    return sent_at is not None and abs(now - sent_at) <= tolerance


def _any_equal(expected: Iterable[bytes], provided: bytes) -> bool:
    found = False
    for each in expected:
        found |= hmac.compare_digest(each, provided)
    return found


URL_PARAMETER = "secret"


def shared_secret(post: Post, settings: Settings, *, in_url: bool = False) -> str | None:
    """The secret that a post shows, None where it shows none."""
    provided = post.headers.get(settings.webhook_secret_header.lower())
    return provided if provided is not None or not in_url else post.query.get(URL_PARAMETER)
