"""HELPDESK_PROVIDER finds its adapter, or a message that says what to set."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings


def settings(**more: object) -> Settings:
    given = {"helpdesk_base_url": "https://desk.example.com", "helpdesk_api_token": "s3cret"}
    return Settings.model_validate({**given, **more})


def test_rest_is_made_from_settings() -> None:
    helpdesk = make_helpdesk(settings(helpdesk_page_size=50, helpdesk_fetch_details=True))
    assert helpdesk.capabilities.name == "rest"
    assert helpdesk.capabilities.page_size == 50
    assert not helpdesk.capabilities.lists_are_whole
    assert "s3cret" not in repr(helpdesk)
    helpdesk.close()


def test_an_unknown_provider_names_the_setting_and_those_known() -> None:
    with pytest.raises(SettingsError, match=r"HELPDESK_PROVIDER is 'zenddesk'.*Known: .*rest"):
        make_helpdesk(settings(helpdesk_provider="zenddesk"))


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_token_names_the_setting(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
        make_helpdesk(settings(helpdesk_api_token=SecretStr(token)))


def test_blanks_around_a_token_are_no_part_of_it() -> None:
    make_helpdesk(settings(helpdesk_api_token=SecretStr(" s3cret\n"))).close()


def test_no_adapter_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, helpdesk_assets.providers.registry;"
        "sys.exit('helpdesk_assets.providers.rest.adapter' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
