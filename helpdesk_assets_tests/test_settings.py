"""Settings: defaults that just work, problems that name the variable, secrets that stay secret."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.local.simulator.server import DEFAULT_TOKEN
from helpdesk_assets.model.webhooks import LeftOut
from helpdesk_assets.settings import (
    EMBEDDED_HELPDESK,
    EMBEDDED_PROJECT,
    EMBEDDED_TOKEN,
    EMBEDDED_WAREHOUSE,
    Settings,
    alerts_wanted,
    backfill_from,
    load_alert_settings,
    load_settings,
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_with_nothing_set_the_embedded_default_is_used() -> None:
    settings = load_settings()
    assert settings.helpdesk_base_url == EMBEDDED_HELPDESK
    assert settings.helpdesk_api_token.get_secret_value() == EMBEDDED_TOKEN
    assert settings.bigquery_project == EMBEDDED_PROJECT
    assert settings.bigquery_emulator_host == EMBEDDED_WAREHOUSE


def test_a_project_means_the_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme-data")
    settings = load_settings()
    assert (settings.bigquery_project, settings.bigquery_emulator_host) == ("acme-data", "")


def test_an_emulators_address_may_lack_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "127.0.0.1:9999")
    assert load_settings().bigquery_emulator_host == "http://127.0.0.1:9999"


def test_the_embedded_token_goes_to_the_embedded_helpdesk_alone(
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


def test_empty_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "")
    assert load_settings().helpdesk_page_size == 100


def test_a_setting_that_cannot_be_read_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELPDESK_OVERLAP_SECONDS", "s3cret-by-mistake")
    with pytest.raises(SettingsError, match="HELPDESK_OVERLAP_SECONDS") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_what_webhooks_leave_out_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_NOT_SUBSCRIBED", '["deleted", {"status": "closed"}]')
    assert load_settings().webhooks.left_out == (
        LeftOut((("change", ("deleted",)),)),
        LeftOut((("status", ("closed",)),)),
    )


def test_what_webhooks_leave_out_is_told_off_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBHOOK_NOT_SUBSCRIBED", "deleted")
    with pytest.raises(SettingsError, match=r"WEBHOOK_NOT_SUBSCRIBED: .* is not JSON; write"):
        load_settings()


def test_a_window_reaches_back_over_the_grace_where_there_are_webhooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBHOOK_GRACE_SECONDS", "900")
    assert load_settings().webhooks.reach == timedelta(minutes=15)
    monkeypatch.setenv("WEBHOOKS_ENABLED", "false")
    assert load_settings().webhooks.reach == timedelta(minutes=5)


def test_the_token_shows_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "tok-1234567890")
    settings = load_settings()
    assert "tok-1234567890" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_the_embedded_token_is_the_one_that_the_simulated_helpdesk_takes() -> None:
    """Named in both places, because the simulator imports nothing of ours."""
    assert EMBEDDED_TOKEN == DEFAULT_TOKEN


def test_alerts_are_wanted_where_somebody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert alerts_wanted() is None
    for name in ("ALERT_URLS", "HEARTBEAT_URL"):
        monkeypatch.setenv(name, "json://secret-hook")
        wanted = alerts_wanted()
        assert wanted is not None
        assert "secret-hook" not in repr(wanted)
        monkeypatch.delenv(name)


def test_what_stops_every_run_does_not_silence_the_news_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", "many")
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1")
    assert load_alert_settings().reminder.days == 1


def test_an_alert_setting_that_cannot_be_read_counts_as_a_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_REMINDER_HOURS", "0")
    assert alerts_wanted() is not None
    with pytest.raises(SettingsError, match="ALERT_REMINDER_HOURS"):
        load_alert_settings()


@pytest.mark.parametrize(("text", "days"), [("", None), ("0", 0), ("7", 7), ("400", 400)])
def test_how_long_versions_are_kept(
    monkeypatch: pytest.MonkeyPatch, text: str, days: int | None
) -> None:
    monkeypatch.setenv("HISTORY_DAYS", text)
    assert load_settings().history_days == days


@pytest.mark.parametrize("text", ["6", "-1", "a year"])
def test_versions_are_kept_for_longer_than_a_step_may_wait(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HISTORY_DAYS", text)
    with pytest.raises(SettingsError, match="HISTORY_DAYS"):
        load_settings()


def test_a_first_month_that_is_none_is_told_by_a_run_and_not_while_definitions_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKFILL_FROM", "2024-03")
    assert backfill_from() == load_settings().backfill_from == "2024-03"
    monkeypatch.setenv("BACKFILL_FROM", "March")
    assert backfill_from() == "2015-01"
    with pytest.raises(SettingsError, match="BACKFILL_FROM"):
        load_settings()
