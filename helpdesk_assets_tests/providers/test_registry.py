"""HELPDESK_PROVIDER selects an adapter, or gives an error that says what to set."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk
from helpdesk_assets.settings import Settings


def settings(**more: object) -> Settings:
    given = {"helpdesk_base_url": "https://desk.example.com", "helpdesk_api_token": "s3cret"}
    return Settings.model_validate({**given, **more})


def test_rest_adapter_is_made_from_settings() -> None:
    helpdesk = make_helpdesk(settings(helpdesk_page_size=50, helpdesk_fetch_details=True))
    assert helpdesk.capabilities.name == "rest"
    assert helpdesk.capabilities.page_size == 50
    assert not helpdesk.capabilities.list_rows_are_complete
    assert "s3cret" not in repr(helpdesk)
    helpdesk.close()


def test_unknown_provider_names_the_setting_and_the_choices() -> None:
    with pytest.raises(SettingsError, match=r"HELPDESK_PROVIDER is 'zenddesk'.*one of rest"):
        make_helpdesk(settings(helpdesk_provider="zenddesk"))


@pytest.mark.parametrize("token", ["", "  "])
def test_empty_token_names_the_setting(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
        make_helpdesk(settings(helpdesk_api_token=SecretStr(token)))


def test_whitespace_around_a_token_is_stripped() -> None:
    make_helpdesk(settings(helpdesk_api_token=SecretStr(" s3cret\n"))).close()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_provider_has_adapter_webhooks_and_dialect(provider: str) -> None:
    assert find_spec(f"helpdesk_assets.providers.{provider}.adapter")
    assert find_spec(f"helpdesk_assets.providers.{provider}.webhooks")
    assert find_spec(f"helpdesk_assets.local.simulator.dialects.{provider}")


def test_adapters_are_imported_lazily() -> None:
    code = (
        "import sys, helpdesk_assets.providers.registry;"
        "sys.exit('helpdesk_assets.providers.rest.adapter' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
