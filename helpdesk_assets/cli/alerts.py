"""The command `alerts test`: whether an alert would reach people."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from helpdesk_assets.alerts.apprise_channel import SendOutcome, open_channels
from helpdesk_assets.alerts.message import sample
from helpdesk_assets.config.standalone import load_alert_settings
from helpdesk_assets.errors import SettingsError


def send_sample() -> bool:
    """Send a sample to each of ALERT_URLS and print one line of outcome each.

    Does not call the heartbeat, which would report a successful run.

    Raises:
        SettingsError: ALERT_URLS is empty or invalid.
    """
    settings = load_alert_settings()
    channels = open_channels(settings.alert_urls.get_secret_value())
    if not channels:
        raise SettingsError(
            "ALERT_URLS is empty. Set it to one or more Apprise URLs, separated by spaces, such as "
            "slack://… or mailtos://…"
        )
    message = sample(datetime.now(UTC), settings.dagster_ui_url)
    answers = [(channel.name, channel.send(message)) for channel in channels]
    for name, answer in answers:
        reason = f" ({answer.reason})" if answer.reason else ""
        click.echo(f"Alert URL {name}: {answer.outcome.value}{reason}")
    return all(answer.outcome is SendOutcome.DELIVERED for _, answer in answers)
