"""Refused credentials are read again, so that a rotated token needs no restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import CredentialsRefused, SettingsError
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import PROVIDERS
from helpdesk_assets.receiver import wiring
from helpdesk_assets.receiver.credentials import (
    CREDENTIALS,
    READ_AGAIN_SECONDS,
    RenewableHelpdesk,
)
from helpdesk_assets.settings import Settings


class Account:
    """A helpdesk that accepts one token; counts how often settings were read again."""

    def __init__(self) -> None:
        self.file = self.settings("old")
        self.now = 0.0
        self.reads = 0
        self.closed: list[str] = []

    @staticmethod
    def settings(token: str, **more: Any) -> Settings:
        return Settings(_env_file=None, helpdesk_api_token=SecretStr(token), **more)  # type: ignore[call-arg,unused-ignore]

    def read(self) -> Settings:
        self.reads += 1
        return self.file

    def make(self, settings: Settings) -> Helpdesk:
        account = self

        class Opened:
            token = settings.helpdesk_api_token.get_secret_value()
            base_url = settings.helpdesk_base_url

            def close(self) -> None:
                account.closed.append(self.token)

        return cast(Helpdesk, Opened())

    def opened(self, read_again: Callable[[], Settings] | None) -> RenewableHelpdesk:
        return RenewableHelpdesk(self.file, self.make, read_again, monotonic=lambda: self.now)


@pytest.fixture
def account() -> Account:
    return Account()


def token(helpdesk: Helpdesk | None) -> Any:
    return None if helpdesk is None else cast(Any, helpdesk).token


def test_refused_token_is_replaced_by_the_new_one(account: Account) -> None:
    helpdesk = account.opened(account.read)
    refused = helpdesk.current
    account.file = account.settings("new", helpdesk_base_url="http://another.example")

    renewed = helpdesk.renew(refused)
    assert token(renewed) == token(helpdesk.current) == "new"
    # Another address may be another account, so only credentials change.
    assert cast(Any, renewed).base_url != "http://another.example"
    assert account.closed == ["old"]
    # A thread that was refused before gets what another one has made.
    assert helpdesk.renew(refused) is renewed
    assert account.reads == 1


def test_settings_are_read_at_most_once_a_minute(account: Account) -> None:
    helpdesk = account.opened(account.read)
    for _ in range(100):
        assert helpdesk.renew(helpdesk.current) is None
    assert account.reads == 1
    account.file = account.settings("new")
    account.now = READ_AGAIN_SECONDS - 0.1
    assert helpdesk.renew(helpdesk.current) is None
    account.now = READ_AGAIN_SECONDS
    assert token(helpdesk.renew(helpdesk.current)) == "new"


def test_unreadable_settings_keep_the_old_ones(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable() -> Settings:
        raise SettingsError("Settings are invalid.")

    helpdesk = account.opened(unreadable)
    with caplog.at_level(logging.WARNING):
        assert helpdesk.renew(helpdesk.current) is None
    assert token(helpdesk.current) == "old"
    assert "Settings are invalid." in caplog.text
    assert account.opened(None).renew(helpdesk.current) is not None
    fixed = account.opened(None)
    assert fixed.renew(fixed.current) is None


def test_refused_call_is_repeated_with_new_credentials(account: Account) -> None:
    helpdesk = account.opened(account.read)
    account.file = account.settings("new")

    def asked(current: Helpdesk) -> Any:
        if token(current) == "old":
            raise CredentialsRefused("401 of GET /tickets/1")
        return token(current)

    assert helpdesk.call(asked) == "new"


def test_refused_call_without_new_credentials_fails(account: Account) -> None:
    def refused(_: Helpdesk) -> None:
        raise CredentialsRefused("401 of GET /tickets/1")

    with pytest.raises(CredentialsRefused):
        account.opened(account.read).call(refused)


def test_drain_of_a_receiver_takes_a_rotated_token(settings_alone: Settings) -> None:
    rotated = settings_alone.model_copy(update={"helpdesk_api_token": SecretStr("rotated")})
    asked: list[Helpdesk] = []

    def merge(helpdesk: Helpdesk) -> int:
        asked.append(helpdesk)
        if len(asked) == 1:
            raise CredentialsRefused("401 of GET /tickets/1")
        return 0

    parts = wiring.open_dependencies(settings_alone, read_again=lambda: rotated, merge=merge)
    assert parts.drain is not None
    assert parts.drain() == 0
    assert len(set(map(id, asked))) == 2
    parts.close()


def test_every_secret_of_a_login_is_read_again() -> None:
    """Also what belongs to it: the user of a token, and the id of a client's secret."""
    fields = Settings.model_fields
    logins = tuple(f"{name.partition('_')[0]}_" for name in ("helpdesk", *PROVIDERS))
    secrets = {name for name, field in fields.items() if field.annotation is SecretStr}
    clients = {name for name in fields if name.endswith("_client_id")}
    of_logins = {name for name in secrets | clients if name.startswith(logins)}
    assert set(CREDENTIALS) == of_logins | {"helpdesk_user"}
