"""Verifies webhooks: signatures over the raw body, secrets in headers, and the age of a post.

Comparisons take constant time and try every secret, so that the response time reveals neither a
partial match nor which secret is in use. Must not know vendors.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.webhooks.events import Post, Verification
from helpdesk_assets.settings import Settings

# Shorter secrets can be guessed; secrets that vendors generate are longer.
MIN_SECRET_CHARS = 16
URL_PARAMETER = "secret"
# Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md):
# while a secret is changed, a post has a signature for the old one and for the new one.
STANDARD_PREFIX = "whsec_"
MAX_SIGNATURES = 16


def load_secrets(settings: Settings) -> tuple[str, ...]:
    """Return the secrets of WEBHOOK_SECRETS, none if it is empty.

    Raises:
        SettingsError: a secret is too short.
    """
    text = settings.webhook_secrets.get_secret_value()
    secrets = tuple(text.replace(",", " ").split())
    if any(len(secret) < MIN_SECRET_CHARS for secret in secrets):
        raise SettingsError(
            f"WEBHOOK_SECRETS holds a secret of fewer than {MIN_SECRET_CHARS} characters, which "
            "can be guessed. Make one with `openssl rand -hex 32`; separate several by commas."
        )
    return secrets


def decode_base64(provided: str) -> bytes:
    """Decode a base64 text.

    Raises:
        ValueError: the text is not base64.
    """
    return base64.b64decode(provided, validate=True)


def has_valid_signature(
    secrets: Iterable[str], message: bytes, provided: str | None, decode: Callable[[str], bytes]
) -> bool:
    """Return whether a post is signed with HMAC-SHA256 under one of the secrets.

    Args:
        secrets: the secrets to try.
        message: what the vendor signs.
        provided: the signature that came with the post.
        decode: decodes the signature; raises ValueError if it cannot.
    """
    try:
        signature = decode(provided or "")
    except (ValueError, binascii.Error):
        signature = b""
    return is_signed_with((secret.encode() for secret in secrets), message, (signature,))


def is_signed_with(keys: Iterable[bytes], message: bytes, signatures: Iterable[bytes]) -> bool:
    """Return whether one of the signatures is HMAC-SHA256 of the message under one of the keys."""
    provided = tuple(signatures)
    found = False
    for key in keys:
        expected = hmac.digest(key, message, "sha256")
        for signature in provided:
            found |= hmac.compare_digest(expected, signature)
    return found


def standard_key(secret: str) -> bytes:
    """Return the key of a secret of Standard Webhooks: `whsec_` and base64, or any other text."""
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    try:
        return decode_base64(secret.removeprefix(STANDARD_PREFIX))
    except ValueError:
        return secret.encode()


def standard_signatures(header: str) -> tuple[bytes, ...]:
    """Return the symmetric signatures of a header such as `v1,BASE64 v1,BASE64 v1a,BASE64`."""
    versioned = (each.partition(",") for each in header.split()[:MAX_SIGNATURES])
    return tuple(
        _decoded_or_empty(signature) for version, _, signature in versioned if version == "v1"
    )


def _decoded_or_empty(text: str) -> bytes:
    try:
        return decode_base64(text)
    except ValueError:
        return b""


def is_known_secret(secrets: Iterable[str], provided: str | None) -> bool:
    """Return whether `provided`, a header's value, is one of the secrets."""
    # The server decodes a header's bytes as Latin-1.
    return _any_equal(
        (secret.encode() for secret in secrets), (provided or "").encode("latin-1", "replace")
    )


def verify_time(
    sent_at: datetime | None, now: datetime, tolerance: timedelta, *, is_signed: bool
) -> Verification:
    """Return what a signature and its time prove; an old post may be a replay.

    Args:
        sent_at: the signed time, None if it cannot be read.
        now: the current time.
        tolerance: how far the two may differ.
        is_signed: whether the signature is correct.
    """
    if not is_signed or sent_at is None:
        return Verification(is_signed=False)
    off = sent_at - now
    return Verification(is_signed=True, time_off=off if abs(off) > tolerance else None)


def _any_equal(expected: Iterable[bytes], provided: bytes) -> bool:
    found = False
    for each in expected:
        found |= hmac.compare_digest(each, provided)
    return found


def shared_secret(post: Post, settings: Settings, *, in_url: bool = False) -> str | None:
    """Return the shared secret that a post carries, None if it carries none.

    Args:
        post: the request.
        settings: WEBHOOK_SECRET_HEADER names the header.
        in_url: also look for the URL parameter `secret`.
    """
    provided = post.headers.get(settings.webhook_secret_header.lower())
    return provided if provided is not None or not in_url else post.query.get(URL_PARAMETER)
