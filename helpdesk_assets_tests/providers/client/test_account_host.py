"""Which spellings of an address are the same account, and what tells accounts apart."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.model.account import Account
from helpdesk_assets.providers.client.addresses import account_host
from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk
from helpdesk_assets.settings import Settings

SAME = (
    "https://acme.example.com",
    "https://ACME.Example.com",
    "https://acme.example.com/",
    "https://acme.example.com:443",
    "http://acme.example.com",
    "https://acme.example.com./api/v2/",
)


def test_spelling_of_the_address_does_not_matter() -> None:
    assert {account_host(url) for url in SAME} == {"acme.example.com"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_port_of_this_machine_does_not_count(host: str) -> None:
    assert account_host(f"http://{host}:41234") == account_host("http://127.0.0.1:8700/api")


def test_other_ports_and_hosts_are_other_accounts() -> None:
    urls = ("https://a.example", "https://b.example", "https://a.example:8443", "http://127.0.0.2")
    assert len({account_host(url) for url in urls}) == len(urls)


def test_invalid_address_is_refused() -> None:
    with pytest.raises(SettingsError):
        account_host("acme.example.com")


def test_provider_host_and_organisation_tell_accounts_apart() -> None:
    accounts = {
        Account.of("zoho_desk", "desk.zoho.eu", "1"),
        Account.of("zoho_desk", "desk.zoho.eu", "2"),
        Account.of("zoho_desk", "desk.zoho.com", "1"),
        Account.of("zendesk", "desk.zoho.eu", "1"),
    }
    assert len({account.digest for account in accounts}) == 4


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_adapter_names_its_account(provider: str) -> None:
    def digest(url: str, org: str = "1") -> str:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
            helpdesk_provider=provider,
            helpdesk_base_url=url,
            helpdesk_user="agent@example.com",
            helpdesk_api_token=SecretStr("token"),
            zoho_org_id=org,
            zoho_client_id="client",
            zoho_client_secret=SecretStr("secret"),
            zoho_refresh_token=SecretStr("token"),
            zoho_accounts_url="https://accounts.zoho.eu",
            helpdesk_token_cache="off",
        )
        helpdesk = make_helpdesk(settings)
        helpdesk.close()
        capabilities = helpdesk.capabilities
        assert capabilities.account_label.startswith(account_host(url))
        return capabilities.account

    assert len(digest("https://acme.example.com")) == 16
    assert digest("https://acme.example.com") == digest("https://ACME.example.com:443/")
    assert digest("https://acme.example.com") != digest("https://other.example.com")
    is_same = digest("https://acme.example.com") == digest("https://acme.example.com", "2")
    assert is_same == (provider != "zoho_desk")
