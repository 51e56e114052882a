"""Settings: working defaults, errors that name the variable, and secrets that stay secret."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from helpdesk_assets.config.standalone import (
    backfill_from,
    configured_alerts,
    load_alert_settings,
)
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.local.simulator.server import DEFAULT_TOKEN
from helpdesk_assets.model.webhooks import Unsubscribed
from helpdesk_assets.settings import (
    LOCAL_HELPDESK_URL,
    LOCAL_PROJECT,
    LOCAL_TOKEN,
    LOCAL_WAREHOUSE_URL,
    Settings,
    load_settings,
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults_are_the_embedded_services() -> None:
    settings = load_settings()
    assert settings.helpdesk_base_url == LOCAL_HELPDESK_URL
    assert settings.helpdesk_api_token.get_secret_value() == LOCAL_TOKEN
    assert settings.bigquery_project == LOCAL_PROJECT
    assert settings.bigquery_emulator_host == LOCAL_WAREHOUSE_URL


def test_project_selects_bigquery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme-data")
    settings = load_settings()
    assert (settings.bigquery_project, settings.bigquery_emulator_host) == ("acme-data", "")


def test_emulator_host_may_omit_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "127.0.0.1:9999")
    assert load_settings().bigquery_emulator_host == "http://127.0.0.1:9999"


def test_embedded_token_is_sent_only_to_the_embedded_helpdesk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELPDESK_BASE_URL", "https://desk.example.com/")
    settings = load_settings()
    assert settings.helpdesk_base_url == "https://desk.example.com"
    assert settings.helpdesk_api_token.get_secret_value() == ""


def test_dotenv_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("HELPDESK_PAGE_SIZE=50\nHELPDESK_CONCURRENCY=2\nOTHER=1\n")
    monkeypatch.setenv("HELPDESK_CONCURRENCY", "4")
    settings = load_settings()
    assert (settings.helpdesk_page_size, settings.helpdesk_concurrency) == (50, 4)


@pytest.mark.parametrize(("provider", "calls"), [("zoho_desk", 5), ("rest", 8)])
def test_share_is_taken_from_what_a_sync_uses(
    monkeypatch: pytest.MonkeyPatch, provider: str, calls: int
) -> None:
    monkeypatch.setenv("HELPDESK_PROVIDER", provider)
    for given, whole in ((None, calls), (20, 20)):
        if given:
            monkeypatch.setenv("HELPDESK_CONCURRENCY", str(given))
        settings = load_settings()
        parts = (settings, settings.for_reconciliation, settings.for_backfill)
        assert [each.helpdesk_concurrency for each in parts] == [whole, whole // 2, whole // 4]


def test_empty_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "")
    assert load_settings().helpdesk_page_size == 100


def test_unreadable_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELPDESK_OVERLAP_SECONDS", "s3cret-by-mistake")
    with pytest.raises(SettingsError, match="HELPDESK_OVERLAP_SECONDS") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_unsubscribed_changes_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_NOT_SUBSCRIBED", '["deleted", {"status": "closed"}]')
    assert load_settings().webhooks.unsubscribed == (
        Unsubscribed((("change", ("deleted",)),)),
        Unsubscribed((("status", ("closed",)),)),
    )


def test_invalid_unsubscribed_setting_names_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBHOOK_NOT_SUBSCRIBED", "deleted")
    with pytest.raises(SettingsError, match="WEBHOOK_NOT_SUBSCRIBED is invalid: JSON is"):
        load_settings()


def test_window_reaches_back_over_grace_with_webhooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBHOOK_GRACE_SECONDS", "900")
    assert load_settings().webhooks.lookback == timedelta(minutes=15)
    monkeypatch.setenv("WEBHOOKS_ENABLED", "false")
    assert load_settings().webhooks.lookback == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("AUTO", "auto"),
        ("true", True),
        ("1", True),
        ("off", False),
    ],
)
def test_webhooks_are_auto_unless_somebody_decides(
    monkeypatch: pytest.MonkeyPatch, text: str | None, enabled: object
) -> None:
    if text is not None:
        monkeypatch.setenv("WEBHOOKS_ENABLED", text)
    assert load_settings().webhooks.enabled == enabled


def test_unknown_word_for_webhooks_names_the_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOKS_ENABLED", "perhaps")
    with pytest.raises(SettingsError, match="WEBHOOKS_ENABLED must be auto, true or false"):
        load_settings()


def test_token_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "tok-1234567890")
    settings = load_settings()
    assert "tok-1234567890" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_embedded_token_equals_the_simulators() -> None:
    """Both places have it, because the simulator does not import settings."""
    assert LOCAL_TOKEN == DEFAULT_TOKEN


def test_alerts_are_enabled_by_any_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured_alerts() is None
    for name in ("ALERT_URLS", "HEARTBEAT_URL"):
        monkeypatch.setenv(name, "json://secret-hook")
        wanted = configured_alerts()
        assert wanted is not None
        assert "secret-hook" not in repr(wanted)
        monkeypatch.delenv(name)


def test_broken_settings_do_not_disable_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "many")
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1")
    assert load_alert_settings().reminder.days == 1


def test_unreadable_alert_setting_enables_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_REMINDER_HOURS", "0")
    assert configured_alerts() is not None
    with pytest.raises(SettingsError, match="ALERT_REMINDER_HOURS"):
        load_alert_settings()


@pytest.mark.parametrize(("text", "days"), [("", None), ("0", 0), ("7", 7), ("400", 400)])
def test_history_retention(monkeypatch: pytest.MonkeyPatch, text: str, days: int | None) -> None:
    monkeypatch.setenv("HISTORY_DAYS", text)
    assert load_settings().history_days == days


@pytest.mark.parametrize("text", ["6", "-1", "a year"])
def test_history_outlives_the_longest_step_delay(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HISTORY_DAYS", text)
    with pytest.raises(SettingsError, match="HISTORY_DAYS"):
        load_settings()


def test_invalid_backfill_start_fails_the_run_not_the_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKFILL_FROM", "2024-03")
    assert backfill_from() == load_settings().backfill_from == "2024-03"
    monkeypatch.setenv("BACKFILL_FROM", "March")
    assert backfill_from() == "2015-01"
    with pytest.raises(SettingsError, match="BACKFILL_FROM must be a month such as 2015-01"):
        load_settings()
