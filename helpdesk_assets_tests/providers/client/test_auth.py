"""Credentials on a request, and in nothing else."""

from __future__ import annotations

from base64 import b64decode

import pytest
import requests
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.auth import Auth, BasicAuth, TokenAuth, token_of
from helpdesk_assets.settings import Settings


def sent(auth: Auth) -> str:
    """The `Authorization` of a request that has been prepared with it."""
    request = requests.Request("GET", "http://127.0.0.1/", auth=auth).prepare()
    return request.headers["Authorization"]


def test_a_token_goes_behind_its_scheme() -> None:
    assert sent(TokenAuth("abc")) == "Bearer abc"
    assert sent(TokenAuth("abc", scheme="token")) == "token abc"


@pytest.mark.parametrize("token", ["two words", "line\n", "tab\t", "schlüssel", "\x7f"])
def test_what_no_token_has_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refused:
        TokenAuth(token)
    assert token not in str(refused.value)


def test_a_basic_user_goes_in_utf_8() -> None:
    scheme, _, encoded = sent(BasicAuth("jürgen@example.com/token", "pässword:1")).partition(" ")
    assert scheme == "Basic"
    assert b64decode(encoded).decode() == "jürgen@example.com/token:pässword:1"


def test_what_must_not_be_shown() -> None:
    """What is on the wire as well; but not a letter that only fills a place."""
    assert TokenAuth("abc").secrets == ("abc",)
    basic = BasicAuth("key", "X")
    assert set(basic.secrets) == {"key", sent(basic).removeprefix("Basic ")}
    assert set(BasicAuth("ann", "secret").secrets) >= {"ann", "secret"}


@pytest.mark.parametrize("auth", [TokenAuth("s3cret"), BasicAuth("s3cret", "s3cret-too")])
def test_no_credential_is_in_a_repr(auth: Auth) -> None:
    assert "s3cret" not in repr(auth)


@pytest.mark.parametrize("auth", [TokenAuth("abc"), BasicAuth("ann", "secret")])
def test_what_a_person_made_is_not_renewed(auth: Auth) -> None:
    assert not auth.renew(sent(auth))


def test_the_token_of_the_settings() -> None:
    assert token_of(_settings(" abc \n")) == "abc"
    for empty in ("", "  "):
        with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
            token_of(_settings(empty))


def _settings(token: str) -> Settings:
    return Settings.model_validate(
        {"helpdesk_base_url": "https://h.example.com", "helpdesk_api_token": SecretStr(token)}
    )
