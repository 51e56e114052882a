"""The sensor: reads which runs have ended, sends what is due, and only then remembers it.

At least once, therefore: killed between sending and remembering, the same message is sent again,
with the same last line. Dagster keeps the memory of a tick that fails as it was, so a tick fails
where nothing could be delivered and nothing is new; where there is something to remember, it passes
and says what is still to be delivered. With two channels, one of which is down, the other would
else hear the same every minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import SecretStr

from helpdesk_assets.alerts.apprise_channel import Channel, open_channels, ping_heartbeat
from helpdesk_assets.alerts.cursor import MAX_INCIDENTS, SensorState, from_text, to_text
from helpdesk_assets.alerts.delivery import DeliveryReport, deliver
from helpdesk_assets.alerts.findings import RunReport
from helpdesk_assets.alerts.incidents import apply, prune
from helpdesk_assets.alerts.message import NoticeContext
from helpdesk_assets.defs.alerts.run_events import latest_cursors, read_reports
from helpdesk_assets.defs.alerts.run_reports import AlertScope
from helpdesk_assets.errors import AlertNotDelivered
from helpdesk_assets.settings import configured_alerts, load_alert_settings

log = logging.getLogger(__name__)

SENSOR_NAME = "helpdesk_alerts"
RESOURCE = "alerts"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Whom to tell, and how."""

    channels: Sequence[Channel]
    reminder: timedelta
    ui_url: str = ""
    heartbeat_url: SecretStr = field(default=SecretStr(""))


class AlertsResource(dg.ConfigurableResource[Alerts]):
    """It has no fields: what is never a field can show up neither in config nor in a repr."""

    def open(self) -> Alerts:
        """
        Raises:
            SettingsError: a setting cannot be read, or Apprise is not installed.
        """
        settings = load_alert_settings()
        return Alerts(
            open_channels(settings.alert_urls.get_secret_value()),
            settings.reminder,
            settings.dagster_ui_url,
            settings.heartbeat_url,
        )


def alert_sensors(scope: AlertScope) -> list[dg.SensorDefinition]:
    """The sensor where the environment asks for it, else none."""
    alert_settings = configured_alerts()
    if alert_settings is None:
        return []
    return [
        build_alert_sensor(scope, minimum_interval_seconds=alert_settings.alert_interval_seconds)
    ]


def build_alert_sensor(
    scope: AlertScope,
    *,
    minimum_interval_seconds: int = 60,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dg.SensorDefinition:
    """A sensor that needs the resource `alerts`."""

    @dg.sensor(
        name=SENSOR_NAME,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the people behind ALERT_URLS of failed checks and runs, and when they"
        " are over.",
    )
    def helpdesk_alerts(
        context: dg.SensorEvaluationContext, alerts: AlertsResource
    ) -> dg.SkipReason:
        return dg.SkipReason(tick(context, alerts.open(), scope, clock()))

    return helpdesk_alerts


def tick(
    context: dg.SensorEvaluationContext, alerts: Alerts, scope: AlertScope, now: datetime
) -> str:
    """One look. Returns what it did, in a sentence for the UI's list of ticks.

    Raises:
        AlertNotDelivered: a channel is not there, and there is nothing else to remember.
    """
    before = from_text(context.cursor)
    if before is None:
        if context.cursor:
            log.warning("What was told before cannot be read (another version?); begun anew.")
        context.update_cursor(to_text(SensorState(latest_cursors(context.instance))))
        return "Begun. Runs that end from now on are looked at; what was before is not told."
    reports, cursors = read_reports(context.instance, before.cursors, scope, _location(context))
    incidents = before.incidents
    for report in reports:
        incidents = apply(incidents, report)
    notice_context = NoticeContext(now, alerts.reminder, alerts.ui_url)
    delivery = deliver(incidents, alerts.channels, notice_context, time.monotonic)
    names = [channel.name for channel in alerts.channels]
    retained = prune(delivery.incidents, names, MAX_INCIDENTS)
    after = SensorState(cursors, retained, before.refused + delivery.refused)
    if any(report.succeeded and report.job in scope.jobs for report in reports):
        ping_heartbeat(alerts.heartbeat_url.get_secret_value())
    if delivery.failures and to_text(after) == to_text(before):
        raise AlertNotDelivered(f"{_undelivered_text(delivery)} Tried again with the next tick.")
    context.update_cursor(to_text(after))
    return _tick_summary(reports, delivery, after)


def _location(context: dg.SensorEvaluationContext) -> str | None:
    origin = context.code_location_origin
    return origin.location_name if origin else None


def _undelivered_text(delivery: DeliveryReport) -> str:
    return f"Could not be delivered: {'; '.join(delivery.failures)}."


def _tick_summary(
    reports: Sequence[RunReport], delivery: DeliveryReport, after: SensorState
) -> str:
    wrong = sum(incident.resolved_at is None for incident in after.incidents.values())
    words = [
        f"{len(reports)} runs ended, {delivery.delivered} messages sent, {wrong} problems last."
    ]
    if delivery.failures:
        words.append(_undelivered_text(delivery))
    if delivery.waiting:
        words.append(f"{delivery.waiting} messages wait for the next tick.")
    if after.refused:
        words.append(f"{after.refused} messages were refused for good since the sensor began.")
    return " ".join(words)
