"""The alert sensor: reads ended runs, sends what is due, then stores its cursor.

Delivery is at least once: a tick that is killed between sending and storing sends the same message
again, with the same last line. Dagster keeps the old cursor if a tick fails. So a tick fails only
if a delivery failed and there is nothing new to store. Otherwise it succeeds, stores its cursor and
says what is still undelivered. If it failed, a channel that works would get the same message every
minute while another one is down.
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
from helpdesk_assets.config.standalone import configured_alerts, load_alert_settings
from helpdesk_assets.defs.alerts.run_events import latest_cursors, read_reports
from helpdesk_assets.defs.alerts.run_reports import AlertScope, Watcher
from helpdesk_assets.defs.sync_identity import own_sync
from helpdesk_assets.errors import AlertNotDelivered
from helpdesk_assets.formatting import pluralized

log = logging.getLogger(__name__)

SENSOR_NAME = "helpdesk_alerts"


@dataclass(frozen=True, slots=True)
class Alerts:
    """The configured channels and how to use them.

    Attributes:
        channels: Where to send.
        reminder: How often an open incident is reported again.
        ui_url: Address of Dagster's UI, for links to runs; empty for none.
        heartbeat_url: Pinged after each successful run; empty for none.
    """

    channels: Sequence[Channel]
    reminder: timedelta
    ui_url: str = ""
    heartbeat_url: SecretStr = field(default=SecretStr(""))


class AlertsResource(dg.ConfigurableResource[Alerts]):
    """The alert channels of the settings.

    It has no fields: a URL that is never a field cannot appear in run config or in a repr.
    """

    def open(self) -> Alerts:
        """Reads the settings and makes the channels.

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
    """Returns the sensor if the environment configures alerts or a heartbeat, else nothing."""
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
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dg.SensorDefinition:
    """Builds the sensor. It requires the resource `alerts`.

    Args:
        scope: Which runs and checks to report.
        minimum_interval_seconds: Pause between two ticks.
        now: Current time, UTC.
    """

    @dg.sensor(
        name=SENSOR_NAME,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Notifies ALERT_URLS when a check or run fails, and when it is well again.",
    )
    def helpdesk_alerts(
        context: dg.SensorEvaluationContext, alerts: AlertsResource
    ) -> dg.SkipReason:
        return dg.SkipReason(tick(context, alerts.open(), scope, now()))

    return helpdesk_alerts


def tick(
    context: dg.SensorEvaluationContext, alerts: Alerts, scope: AlertScope, now: datetime
) -> str:
    """Runs one tick.

    Args:
        context: Dagster's sensor context, which holds the cursor.
        alerts: Channels and settings.
        scope: Which runs and checks to report.
        now: Current time, UTC.

    Returns:
        A summary for the UI's list of ticks.

    Raises:
        AlertNotDelivered: a delivery failed and there is nothing new to store.
    """
    before = from_text(context.cursor)
    if before is None:
        if context.cursor:
            log.warning("The cursor of %s cannot be read. Starting over.", SENSOR_NAME)
        context.update_cursor(to_text(SensorState(latest_cursors(context.instance))))
        return "Started. Runs that end from now on are reported; earlier ones are not."
    watcher = Watcher(scope, _location(context), own_sync())
    reports, cursors = read_reports(context.instance, before.cursors, watcher)
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
        raise AlertNotDelivered(f"{_undelivered_text(delivery)} The next tick tries again.")
    context.update_cursor(to_text(after))
    return _tick_summary(reports, delivery, after)


def _location(context: dg.SensorEvaluationContext) -> str | None:
    origin = context.code_location_origin
    return origin.location_name if origin else None


def _undelivered_text(delivery: DeliveryReport) -> str:
    return f"Not delivered: {'; '.join(delivery.failures)}."


def _tick_summary(
    reports: Sequence[RunReport], delivery: DeliveryReport, after: SensorState
) -> str:
    open_incidents = sum(incident.resolved_at is None for incident in after.incidents.values())
    counts = (
        f"{pluralized(len(reports), 'run')} ended",
        f"{pluralized(delivery.delivered, 'message')} sent",
        f"{pluralized(open_incidents, 'open problem')}.",
    )
    sentences = ["; ".join(counts)]
    if delivery.failures:
        sentences.append(_undelivered_text(delivery))
    if delivery.waiting:
        sentences.append(f"{pluralized(delivery.waiting, 'message')} left for the next tick.")
    if after.refused:
        sentences.append(
            f"{pluralized(after.refused, 'message')} refused since the sensor started."
        )
    return " ".join(sentences)
