"""Which posts are accepted as the vendor's."""

from __future__ import annotations

import base64
import hmac
from datetime import timedelta

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.webhooks.verification import (
    decode_base64,
    has_valid_signature,
    is_known_secret,
    load_secrets,
    verify_time,
)
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.webhook_posts import START

OLD, NEW = "the-old-secret-of-this", "the-new-secret-of-this"


def with_secrets(text: str) -> Settings:
    return Settings(_env_file=None, webhook_secrets=SecretStr(text))  # type: ignore[call-arg,unused-ignore]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [("", ()), (" , ", ()), (OLD, (OLD,)), (f"{OLD}, {NEW}\n", (OLD, NEW))],
)
def test_secrets_are_separated_by_commas_or_spaces(text: str, secrets: tuple[str, ...]) -> None:
    assert load_secrets(with_secrets(text)) == secrets


def test_one_short_secret_rejects_the_setting() -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        load_secrets(with_secrets(f"{OLD},short"))


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_secret_is_accepted(secret: str) -> None:
    given = base64.b64encode(hmac.digest(secret.encode(), b"body", "sha256")).decode()

    assert has_valid_signature((OLD, NEW), b"body", given, decode_base64)
    assert not has_valid_signature((OLD, NEW), b"body ", given, decode_base64)
    assert is_known_secret((OLD, NEW), secret)


@pytest.mark.parametrize("given", [None, "", "zz", "00", "é", "00" * 32])
def test_malformed_signature_is_rejected(given: str | None) -> None:
    assert not has_valid_signature((OLD,), b"body", given, decode_base64)
    assert not has_valid_signature((), b"body", given, decode_base64)
    assert not is_known_secret((OLD,), given)
    assert not is_known_secret((), given)


def test_non_ascii_secret_is_compared_by_bytes() -> None:
    secret = "schlüssel-für-webhooks"
    assert is_known_secret((secret,), secret.encode().decode("latin-1"))


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(first)
        return first == second

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert is_known_secret((OLD, NEW), OLD)
    assert compared == [OLD.encode(), NEW.encode()]


@pytest.mark.parametrize(
    ("off", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_timestamp_must_be_recent(off: int, good: bool) -> None:
    sent_at, tolerance = START + timedelta(seconds=off), timedelta(seconds=300)
    found = verify_time(sent_at, START, tolerance, is_signed=True)

    assert (found.is_accepted, found.is_signed) == (good, True)
    assert found.time_off == (None if good else timedelta(seconds=off))
    unsigned = verify_time(sent_at, START, tolerance, is_signed=False)
    assert (unsigned.is_signed, unsigned.time_off) == (False, None)
    assert not verify_time(None, START, tolerance, is_signed=True).is_accepted
