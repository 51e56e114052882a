"""Settings that are also read apart from the rest: alerts, and the first month of the backfill.

Both are read while definitions load, when an invalid value must not raise.
"""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from helpdesk_assets.config.loading import load
from helpdesk_assets.errors import SettingsError

_MONTH = re.compile(r"(19[7-9]\d|2\d{3})-(0[1-9]|1[0-2])", re.ASCII)


class AlertSettings(BaseSettings):
    """Who receives alerts, and how often.

    The alert sensor reads these apart from the rest: a setting that stops every run must not
    silence the alert about it.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    alert_urls: SecretStr = SecretStr("")
    alert_reminder_hours: float = Field(default=24.0, gt=0)
    alert_interval_seconds: int = Field(default=60, ge=1)
    heartbeat_url: SecretStr = SecretStr("")
    dagster_ui_url: str = ""

    @property
    def reminder(self) -> timedelta:
        """How often an open incident is reported again."""
        return timedelta(hours=self.alert_reminder_hours)


class BackfillSettings(BaseSettings):
    """The first month of the backfill: read while definitions load, for Dagster shows months."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    backfill_from: str = "2015-01"

    @field_validator("backfill_from")
    @classmethod
    def _check_month(cls, text: str) -> str:
        if not _MONTH.fullmatch(text):
            raise ValueError("must be a month such as 2015-01")
        return text


def load_alert_settings() -> AlertSettings:
    """Read the settings of alerts alone, whatever the other variables hold.

    Raises:
        SettingsError: names each invalid variable and the reason, never its value.
    """
    return load(AlertSettings)


def configured_alerts() -> AlertSettings | None:
    """The settings of alerts; None if none are configured.

    Never raises, because it is called while definitions load. An invalid value counts as
    configured, with defaults in its place; loading the settings later reports it.
    """
    try:
        settings = load(AlertSettings)
    except SettingsError:
        return AlertSettings.model_construct()
    return settings if settings.alert_urls or settings.heartbeat_url else None


def backfill_from() -> str:
    """The first month of the backfill; never raises, like `configured_alerts`."""
    try:
        return load(BackfillSettings).backfill_from
    except SettingsError:
        return BackfillSettings.model_construct().backfill_from
