"""Credentials are on a request and nowhere else."""

from __future__ import annotations

from base64 import b64decode

import pytest
import requests
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.auth import Auth, BasicAuth, TokenAuth, api_token
from helpdesk_assets.settings import Settings


def sent(auth: Auth) -> str:
    """Return the `Authorization` of a prepared request."""
    request = requests.Request("GET", "http://127.0.0.1/", auth=auth).prepare()
    return request.headers["Authorization"]


def test_token_follows_its_scheme() -> None:
    assert sent(TokenAuth("abc")) == "Bearer abc"
    assert sent(TokenAuth("abc", scheme="token")) == "token abc"


@pytest.mark.parametrize("token", ["two words", "line\n", "tab\t", "schlüssel", "\x7f"])
def test_invalid_token_is_rejected_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refused:
        TokenAuth(token)
    assert token not in str(refused.value)


def test_basic_auth_user_is_sent_as_utf_8() -> None:
    scheme, _, encoded = sent(BasicAuth("jürgen@example.com/token", "pässword:1")).partition(" ")
    assert scheme == "Basic"
    assert b64decode(encoded).decode() == "jürgen@example.com/token:pässword:1"


def test_secrets_to_mask() -> None:
    """Encoded secrets are masked too, but not a single character used as a filler."""
    assert TokenAuth("abc").secrets == ("abc",)
    basic = BasicAuth("key", "X")
    assert set(basic.secrets) == {"key", sent(basic).removeprefix("Basic ")}
    assert set(BasicAuth("ann", "secret").secrets) >= {"ann", "secret"}


@pytest.mark.parametrize("auth", [TokenAuth("s3cret"), BasicAuth("s3cret", "s3cret-too")])
def test_credentials_are_in_no_repr(auth: Auth) -> None:
    assert "s3cret" not in repr(auth)


@pytest.mark.parametrize("auth", [TokenAuth("abc"), BasicAuth("ann", "secret")])
def test_user_created_tokens_are_not_renewed(auth: Auth) -> None:
    assert not auth.renew(sent(auth))


def test_token_comes_from_settings() -> None:
    assert api_token(_settings(" abc \n")) == "abc"
    for empty in ("", "  "):
        with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
            api_token(_settings(empty))


def _settings(token: str) -> Settings:
    return Settings.model_validate(
        {"helpdesk_base_url": "https://h.example.com", "helpdesk_api_token": SecretStr(token)}
    )
