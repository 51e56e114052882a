"""Any environment gives settings or a one-line error, and no value is shown."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpdesk_assets import settings
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.registry import PROVIDERS, make_helpdesk, make_webhook_format
from helpdesk_assets.providers.webhooks.verification import load_secrets
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.hostile.strategies import objects, texts, values, written

SECRETS = (
    "helpdesk_api_token", "zendesk_client_secret", "zoho_client_secret", "zoho_refresh_token",
    "webhook_secrets",
)  # fmt: skip
SECRET_PREFIX = "hush-"
# An environment holds no NUL, and no half of a surrogate pair.
entries = (texts | values.map(lambda value: written(value).decode())).filter(
    lambda text: "\0" not in text and text.isprintable()
)


def read(**given_: str) -> Settings | None:
    """Return the settings of an environment with these variables only; None after an error."""
    environment = {name.upper(): value for name, value in given_.items()}
    with patch.dict("os.environ", environment), patch.dict(Settings.model_config, env_file=None):
        try:
            return settings.load_settings()
        except SettingsError as error:
            said = str(error)
    assert "\n" not in said
    return None


@given(name=st.sampled_from(sorted(Settings.model_fields)), text=entries)
def test_each_setting_is_read_or_reported(name: str, text: str) -> None:
    read(**{name: text})


@given(
    text=entries
    | st.lists(
        objects(("change", "status", "priority", "assignee"), of=entries | st.lists(entries))
    ).map(lambda value: written(value).decode())
)
@example("[" * 100_000)
def test_unsubscribed_setting_is_read_or_reported(text: str) -> None:
    found = read(webhook_not_subscribed=text)
    if found is not None:
        assert isinstance(found.webhooks.unsubscribed, tuple)


@pytest.mark.parametrize("provider", PROVIDERS)
@given(
    given_=st.fixed_dictionaries(
        {
            name: entries.map(lambda text: SECRET_PREFIX + text) if name in SECRETS else entries
            for name in (
                "helpdesk_base_url", "helpdesk_user", "helpdesk_api_token", "helpdesk_time_zone",
                "zendesk_client_id", "zendesk_client_secret",
                "zoho_accounts_url", "zoho_org_id", "zoho_client_id", "zoho_client_secret",
                "zoho_refresh_token", "zoho_jwks_url", "freshdesk_include", "webhook_secrets",
            )
        }
    )
)  # fmt: skip
def test_adapter_is_made_or_mistake_reported_without_secrets(
    provider: str, given_: dict[str, str]
) -> None:
    found = read(helpdesk_provider=provider, helpdesk_token_cache="off", **given_)
    if found is None:
        return
    shown = repr(found)
    for make in (make_helpdesk, make_webhook_format, load_secrets):
        try:
            made = make(found)
        except SettingsError as error:
            shown += str(error)
        else:
            shown += repr(made) if make is not load_secrets else ""
    assert SECRET_PREFIX not in shown
