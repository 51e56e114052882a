"""Whatever stands in the environment, it is read or told in one line, and never shown."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpdesk_assets import settings
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.registry import ADAPTERS, make_helpdesk, make_vendor
from helpdesk_assets.providers.webhooks.verification import secrets_of
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.hostile.strategies import objects, texts, values, written

SECRETS = (
    "helpdesk_api_token", "zoho_client_secret", "zoho_refresh_token", "webhook_secrets"
)  # fmt: skip
HUSH = "hush-"
# An environment holds no NUL, and no half of a surrogate pair.
entries = (texts | values.map(lambda value: written(value).decode())).filter(
    lambda text: "\0" not in text and text.isprintable()
)


def read(**given_: str) -> Settings | None:
    """The settings of an environment that holds nothing else; None where it is told a mistake."""
    environment = {name.upper(): value for name, value in given_.items()}
    with patch.dict("os.environ", environment), patch.dict(Settings.model_config, env_file=None):
        try:
            return settings.load_settings()
        except SettingsError as error:
            said = str(error)
    assert "\n" not in said
    return None


@given(name=st.sampled_from(sorted(Settings.model_fields)), text=entries)
def test_each_setting_is_read_or_told(name: str, text: str) -> None:
    read(**{name: text})


@given(
    text=entries
    | st.lists(
        objects(("change", "status", "priority", "assignee"), of=entries | st.lists(entries))
    ).map(lambda value: written(value).decode())
)
@example("[" * 100_000)
def test_what_is_not_subscribed_is_read_or_told(text: str) -> None:
    found = read(webhook_not_subscribed=text)
    if found is not None:
        assert isinstance(found.webhooks.left_out, tuple)


@pytest.mark.parametrize("provider", ADAPTERS)
@given(
    given_=st.fixed_dictionaries(
        {
            name: entries.map(lambda text: HUSH + text) if name in SECRETS else entries
            for name in (
                "helpdesk_base_url", "helpdesk_user", "helpdesk_api_token", "helpdesk_time_zone",
                "zoho_accounts_url", "zoho_org_id", "zoho_client_id", "zoho_client_secret",
                "zoho_refresh_token", "zoho_jwks_url", "freshdesk_include", "webhook_secrets",
            )
        }
    )
)  # fmt: skip
def test_an_adapter_is_made_or_the_mistake_told_without_secrets(
    provider: str, given_: dict[str, str]
) -> None:
    found = read(helpdesk_provider=provider, zoho_token_cache="off", **given_)
    if found is None:
        return
    shown = repr(found)
    for make in (make_helpdesk, make_vendor, secrets_of):
        try:
            made = make(found)
        except SettingsError as error:
            shown += str(error)
        else:
            shown += repr(made) if make is not secrets_of else ""
    assert HUSH not in shown
