"""Who is believed."""

from __future__ import annotations

import hmac
from datetime import timedelta

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.webhooks.verification import (
    hex_digest,
    holds_secret,
    is_fresh,
    is_signed,
    secrets_of,
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
    assert secrets_of(with_secrets(text)) == secrets


def test_one_short_secret_is_one_too_many() -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        secrets_of(with_secrets(f"{OLD},short"))


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_secret_is_good(secret: str) -> None:
    given = hmac.new(secret.encode(), b"body", "sha256").hexdigest()

    assert is_signed((OLD, NEW), b"body", given, hex_digest)
    assert not is_signed((OLD, NEW), b"body ", given, hex_digest)
    assert holds_secret((OLD, NEW), secret)


@pytest.mark.parametrize("given", [None, "", "zz", "00", "é", "00" * 32])
def test_what_is_no_signature_is_wrong(given: str | None) -> None:
    assert not is_signed((OLD,), b"body", given, hex_digest)
    assert not is_signed((), b"body", given, hex_digest)
    assert not holds_secret((OLD,), given)
    assert not holds_secret((), given)


def test_a_secret_beyond_ascii_is_compared_by_its_bytes() -> None:
    secret = "schlüssel-für-webhooks"
    assert holds_secret((secret,), secret.encode().decode("latin-1"))


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(first)
        return first == second

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert holds_secret((OLD, NEW), OLD)
    assert compared == [OLD.encode(), NEW.encode()]


@pytest.mark.parametrize(
    ("off", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_post_is_of_now(off: int, good: bool) -> None:
    assert is_fresh(START + timedelta(seconds=off), START, timedelta(seconds=300)) is good
    assert not is_fresh(None, START, timedelta(seconds=300))
