"""The alert sensor with real runs on SQLite and messages over HTTP.

It sends one message when an incident starts, one per day while it lasts and one when it ends,
whatever else fails.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from helpdesk_assets.alerts.cursor import from_text
from helpdesk_assets.errors import AlertNotDelivered
from helpdesk_assets_tests.alerts.alert_env import ERROR, WARN, AlertEnv
from helpdesk_assets_tests.alerts.alert_server import TOKEN, AlertServer

pytestmark = pytest.mark.slow

GAPS = "helpdesk-assets: stored.gaps"
JOB = "helpdesk-assets: job sync"


@pytest.fixture
def alert_env(
    instance: dg.DagsterInstance,
    alert_server: AlertServer,
    no_settings: None,
    monkeypatch: pytest.MonkeyPatch,
) -> AlertEnv:
    """An environment whose sensor has already run once."""
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    monkeypatch.setenv("DAGSTER_UI_URL", "https://dagster.example.com/")
    alert_env = AlertEnv(instance)
    alert_env.tick()
    return alert_env


def test_runs_before_the_first_tick_are_not_reported(
    instance: dg.DagsterInstance,
    alert_server: AlertServer,
    no_settings: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_URLS", alert_server.alert_url)
    alert_env = AlertEnv(instance)
    alert_env.conditions.missed = 3
    alert_env.run()
    assert "Started" in alert_env.tick()
    alert_env.tick()
    assert alert_server.received == []

    alert_env.run()
    alert_env.tick()
    assert alert_server.titles == [GAPS]


def test_failed_check_is_reported_once_with_details(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.missed = 12
    run_id = alert_env.run()
    alert_env.tick()
    alert_env.tick()

    (message,) = alert_server.received
    assert (message.title, message.level) == (GAPS, "failure")
    headline, counts, tickets, since, link, reference = message.body.splitlines()
    assert headline == "ERROR: 12 of 40 changes were missed."
    assert counts == "missed 12"
    listed = ", ".join(str(1000 + n) for n in range(10))
    assert tickets == f"Tickets: {listed} and more"
    assert since.startswith("Since 20")
    assert since.endswith("Z, in 1 run.")
    assert link == f"https://dagster.example.com/runs/{run_id}"
    assert reference.startswith("Ref: stored.gaps 20")


def test_ongoing_incident_sends_one_reminder_a_day(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.missed = 3
    for _ in range(3):
        alert_env.run()
        alert_env.tick()
        alert_env.advance(timedelta(hours=8))
    assert len(alert_server.received) == 1

    alert_env.tick()
    alert_env.tick()
    (reminder,) = alert_server.received[1:]
    assert reminder.headline.startswith("Still ERROR after ")
    assert reminder.headline.endswith(": 3 of 40 changes were missed.")
    assert "in 3 runs." in reminder.body

    # Also if no further run ends.
    alert_env.advance(timedelta(hours=23))
    alert_env.tick()
    assert len(alert_server.received) == 2
    alert_env.advance(timedelta(hours=1))
    alert_env.tick()
    assert len(alert_server.received) == 3
    assert len({message.reference for message in alert_server.received}) == 3


def test_resolved_incident_is_reported_once(alert_env: AlertEnv, alert_server: AlertServer) -> None:
    alert_env.conditions.missed = 3
    alert_env.run()
    alert_env.tick()
    alert_env.conditions.missed = 0
    for _ in range(3):
        alert_env.run()
        alert_env.tick()
        alert_env.advance(timedelta(days=2))

    assert alert_server.titles == [GAPS, GAPS]
    assert alert_server.received[1].level == "success"
    assert alert_server.headlines[1].startswith("OK again after ")
    memory = from_text(alert_env.cursor)
    assert memory is not None
    assert memory.incidents == {}


def test_escalation_to_error_is_reported_and_deescalation_is_not(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.missed = 1
    for severity in (WARN, ERROR, WARN, ERROR):
        alert_env.conditions.severity = severity
        alert_env.run()
        alert_env.tick()
    assert alert_server.headlines == [
        "WARN: 1 of 40 changes were missed.",
        "ERROR, was a warning: 1 of 40 changes were missed.",
    ]
    assert [message.level for message in alert_server.received] == ["warning", "failure"]


def test_failed_run_is_reported_with_reason_not_as_crashed_checks(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.helpdesk_down = True
    alert_env.run()
    alert_env.tick()
    assert alert_server.titles == [JOB]
    assert alert_server.headlines == [
        "ERROR: The run failed. step fetched: The helpdesk did not answer. Try again later."
    ]
    alert_env.conditions.helpdesk_down = False
    alert_env.run()
    alert_env.tick()
    assert alert_server.headlines[1].startswith("OK again after ")


def test_crashed_check_is_reported(alert_env: AlertEnv, alert_server: AlertServer) -> None:
    alert_env.conditions.counting_crashes = True
    alert_env.run()
    alert_env.tick()
    assert alert_server.titles == [JOB]
    (headline,) = alert_server.headlines
    assert headline == (
        "ERROR: The run failed. Without a result: the check stored.counted. "
        "step stored_counted: ValueError: not a number"
    )


def test_blocking_check_failure_is_reported_once(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.blocking_fails = True
    alert_env.run()
    alert_env.tick()
    assert alert_server.titles == ["helpdesk-assets: fetched.whole"]
    assert alert_server.headlines == ["ERROR: A page was short."]


def test_dagster_retry_is_not_reported_separately(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.helpdesk_down = True
    first = alert_env.run()
    alert_env.tick()
    for number in ("1", "2"):
        alert_env.run(tags={"dagster/root_run_id": first, "dagster/retry_number": number})
        alert_env.tick()
    assert alert_server.titles == [JOB]

    alert_env.advance(timedelta(days=1))
    alert_env.tick()
    assert "in 1 run." in alert_server.received[-1].body


def test_runs_of_other_teams_are_ignored(alert_env: AlertEnv, alert_server: AlertServer) -> None:
    @dg.asset
    def theirs() -> None:
        raise ValueError("of another team")

    @dg.asset
    def also_theirs() -> None:
        pass

    @dg.asset_check(asset=also_theirs)
    def bad() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    others = dg.Definitions(
        assets=[theirs, also_theirs],
        asset_checks=[bad],
        jobs=[dg.define_asset_job("their_job", selection="*")],
    )
    for job in ("their_job", "__ASSET_JOB"):
        others.resolve_job_def(job).execute_in_process(
            instance=alert_env.instance, raise_on_error=False
        )
    assert alert_env.tick().startswith("0 runs ended;")
    assert alert_server.received == []


def test_failed_ad_hoc_run_is_resolved_once_covered(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.helpdesk_down = True
    alert_env.materialize("fetched")
    alert_env.tick()
    assert alert_server.titles == ["helpdesk-assets: run by hand"]

    alert_env.conditions.helpdesk_down = False
    alert_env.materialize("stored")
    alert_env.tick()
    assert len(alert_server.received) == 1

    alert_env.run()
    alert_env.tick()
    assert alert_server.headlines[1].startswith("OK again after ")


def test_unreachable_channel_is_notified_when_it_recovers(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_server.stop()
    alert_env.conditions.missed = 3
    alert_env.run()
    assert "Not delivered: alert URL 1 (json), about stored.gaps: no connection" in (
        alert_env.tick()
    )
    cursor = alert_env.cursor
    with pytest.raises(AlertNotDelivered, match="no connection"):
        alert_env.tick()
    assert alert_env.cursor == cursor

    alert_server.start()
    alert_env.tick()
    alert_env.tick()
    assert alert_server.titles == [GAPS]


@pytest.mark.parametrize("status", [429, 503])
def test_failing_channel_is_retried(
    alert_env: AlertEnv, alert_server: AlertServer, status: int
) -> None:
    alert_server.status = status
    alert_env.conditions.missed = 3
    alert_env.run()
    alert_env.tick()
    with pytest.raises(AlertNotDelivered, match=f"HTTP {status}"):
        alert_env.tick()
    alert_server.status = 200
    alert_env.tick()
    assert alert_server.titles == [GAPS]


def test_incident_resolved_during_a_channel_outage_is_one_message(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_server.stop()
    alert_env.conditions.missed = 3
    alert_env.run()
    alert_env.tick()
    alert_env.conditions.missed = 0
    alert_env.run()
    alert_env.tick()
    alert_server.start()
    alert_env.tick()
    alert_env.tick()
    assert alert_server.titles == [GAPS]
    assert alert_server.headlines[0].startswith("OK again. Was ")


def test_permanently_rejected_message_blocks_no_other(
    alert_env: AlertEnv, alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    alert_server.status = lambda title: 400 if title == GAPS else 200
    alert_env.conditions.missed = 3
    alert_env.run()
    assert "1 message refused since" in alert_env.tick()
    assert "refused the message about stored.gaps: HTTP 400" in caplog.text

    alert_env.conditions.helpdesk_down = True
    alert_env.run()
    alert_env.tick()
    assert alert_server.titles == [JOB]
    assert alert_server.rejected == [GAPS]


def test_each_channel_is_notified_once_while_another_is_down(
    alert_env: AlertEnv, alert_server: AlertServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AlertServer() as other:
        monkeypatch.setenv("ALERT_URLS", f"{alert_server.alert_url} {other.alert_url}")
        other.stop()
        alert_env.conditions.missed = 3
        alert_env.run()
        alert_env.tick()
        for _ in range(3):
            with pytest.raises(AlertNotDelivered, match=r"alert URL 2 \(json\)"):
                alert_env.tick()
        other.start()
        alert_env.tick()
        assert (alert_server.titles, other.titles) == ([GAPS], [GAPS])


def test_crash_between_send_and_save_resends_the_message(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_env.conditions.missed = 3
    alert_env.run()
    before = alert_env.cursor
    alert_env.tick()
    alert_env.cursor = before
    alert_env.advance(timedelta(minutes=1))
    alert_env.tick()
    assert len(alert_server.received) == 2
    assert alert_server.received[0] == alert_server.received[1]


def test_heartbeat_follows_only_successful_sync_runs(
    alert_env: AlertEnv, alert_server: AlertServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{alert_server.address}/ping/{TOKEN}")
    alert_env.run()
    alert_env.tick()
    alert_env.tick()
    assert alert_server.heartbeats == [f"/ping/{TOKEN}"]

    alert_env.materialize("stored")
    alert_env.conditions.helpdesk_down = True
    alert_env.run()
    alert_env.tick()
    assert len(alert_server.heartbeats) == 1


def test_heartbeat_failure_is_only_logged(
    alert_env: AlertEnv,
    alert_server: AlertServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", f"http://127.0.0.1:1/ping/{TOKEN}")
    alert_env.run()
    assert alert_env.tick().startswith("1 run ended;")
    assert "The ping to HEARTBEAT_URL failed: ConnectionError" in caplog.text
    assert TOKEN not in caplog.text


def test_unknown_cursor_version_starts_fresh(
    alert_env: AlertEnv, alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    alert_env.cursor = '{"version": 99}'
    alert_env.conditions.missed = 3
    alert_env.run()
    assert "Started" in alert_env.tick()
    assert "Starting over" in caplog.text
    assert alert_server.received == []


def test_cursor_and_errors_contain_no_secrets(
    alert_env: AlertEnv, alert_server: AlertServer
) -> None:
    alert_server.stop()
    alert_env.conditions.missed = 3
    alert_env.run()
    said = alert_env.tick()
    with pytest.raises(AlertNotDelivered) as failed:
        alert_env.tick()
    assert TOKEN not in f"{said} {failed.value!r} {alert_env.cursor}"
    assert alert_server.address not in f"{said} {failed.value!r} {alert_env.cursor}"
