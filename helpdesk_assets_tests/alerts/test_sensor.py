"""The sensor with real runs on SQLite and messages over HTTP: once when it begins, once a day while
it lasts, once when it is over, whatever else goes wrong.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from helpdesk_assets.alerts.cursor import from_text
from helpdesk_assets.errors import AlertNotDelivered
from helpdesk_assets_tests.alerts.alert_env import ERROR, WARN, Office
from helpdesk_assets_tests.alerts.alert_server import TOKEN, Receiver

GAPS = "helpdesk-assets: stored.gaps"
JOB = "helpdesk-assets: job sync"


@pytest.fixture
def office(
    instance: dg.DagsterInstance,
    receiver: Receiver,
    no_settings: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    """The sensor has begun already."""
    monkeypatch.setenv("ALERT_URLS", receiver.alert_url)
    monkeypatch.setenv("DAGSTER_UI_URL", "https://dagster.example.com/")
    office = Office(instance)
    office.tick()
    return office


def test_what_was_before_the_first_tick_is_not_told(
    instance: dg.DagsterInstance,
    receiver: Receiver,
    no_settings: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_URLS", receiver.alert_url)
    office = Office(instance)
    office.day.missed = 3
    office.run()
    assert "Begun" in office.tick()
    office.tick()
    assert receiver.received == []

    office.run()
    office.tick()
    assert receiver.titles == [GAPS]


def test_a_failed_check_is_told_once_with_all_that_one_wants_to_know(
    office: Office, receiver: Receiver
) -> None:
    office.day.missed = 12
    run_id = office.run()
    office.tick()
    office.tick()

    (message,) = receiver.received
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


def test_it_is_not_repeated_while_it_lasts_but_for_one_reminder_a_day(
    office: Office, receiver: Receiver
) -> None:
    office.day.missed = 3
    for _ in range(3):
        office.run()
        office.tick()
        office.later(timedelta(hours=8))
    assert len(receiver.received) == 1

    office.tick()
    office.tick()
    (reminder,) = receiver.received[1:]
    assert reminder.headline.startswith("ERROR, still, after ")
    assert reminder.headline.endswith(": 3 of 40 changes were missed.")
    assert "in 3 runs." in reminder.body

    # Also where no run ends any more.
    office.later(timedelta(hours=23))
    office.tick()
    assert len(receiver.received) == 2
    office.later(timedelta(hours=1))
    office.tick()
    assert len(receiver.received) == 3
    assert len({message.reference for message in receiver.received}) == 3


def test_when_it_is_over_that_is_told_once(office: Office, receiver: Receiver) -> None:
    office.day.missed = 3
    office.run()
    office.tick()
    office.day.missed = 0
    for _ in range(3):
        office.run()
        office.tick()
        office.later(timedelta(days=2))

    assert receiver.titles == [GAPS, GAPS]
    assert receiver.received[1].level == "success"
    assert receiver.headlines[1].startswith("OK again, after ")
    memory = from_text(office.cursor)
    assert memory is not None
    assert memory.episodes == {}


def test_a_warning_that_becomes_an_error_is_news_and_one_that_eases_is_not(
    office: Office, receiver: Receiver
) -> None:
    office.day.missed = 1
    for severity in (WARN, ERROR, WARN, ERROR):
        office.day.severity = severity
        office.run()
        office.tick()
    assert receiver.headlines == [
        "WARN: 1 of 40 changes were missed.",
        "ERROR, no longer a warning: 1 of 40 changes were missed.",
    ]
    assert [message.level for message in receiver.received] == ["warning", "failure"]


def test_a_failed_run_is_told_with_its_reason_and_its_checks_are_not_called_crashed(
    office: Office, receiver: Receiver
) -> None:
    office.day.helpdesk_down = True
    office.run()
    office.tick()
    assert receiver.titles == [JOB]
    assert receiver.headlines == [
        "ERROR: The run failed. step fetched: The helpdesk did not answer. Try again later."
    ]
    office.day.helpdesk_down = False
    office.run()
    office.tick()
    assert receiver.headlines[1].startswith("OK again, after ")


def test_a_check_that_crashes_is_told(office: Office, receiver: Receiver) -> None:
    office.day.counting_crashes = True
    office.run()
    office.tick()
    assert receiver.titles == [JOB]
    (headline,) = receiver.headlines
    assert headline == (
        "ERROR: The run failed, and with it crashed the check stored.counted. "
        "step stored_counted: ValueError: not a number"
    )


def test_a_check_that_blocks_is_told_once_and_not_as_a_failed_run_too(
    office: Office, receiver: Receiver
) -> None:
    office.day.blocking_fails = True
    office.run()
    office.tick()
    assert receiver.titles == ["helpdesk-assets: fetched.whole"]
    assert receiver.headlines == ["ERROR: A page was short."]


def test_a_run_that_dagster_tries_again_is_one_run_and_no_news(
    office: Office, receiver: Receiver
) -> None:
    office.day.helpdesk_down = True
    first = office.run()
    office.tick()
    for number in ("1", "2"):
        office.run(tags={"dagster/root_run_id": first, "dagster/retry_number": number})
        office.tick()
    assert receiver.titles == [JOB]

    office.later(timedelta(days=1))
    office.tick()
    assert "in 1 run." in receiver.received[-1].body


def test_other_teams_runs_are_not_ours(office: Office, receiver: Receiver) -> None:
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
            instance=office.instance, raise_on_error=False
        )
    assert office.tick().startswith("0 runs ended")
    assert receiver.received == []


def test_what_failed_by_hand_is_over_when_it_has_been_made_up_for(
    office: Office, receiver: Receiver
) -> None:
    office.day.helpdesk_down = True
    office.materialize("fetched")
    office.tick()
    assert receiver.titles == ["helpdesk-assets: run by hand"]

    office.day.helpdesk_down = False
    office.materialize("stored")
    office.tick()
    assert len(receiver.received) == 1

    office.run()
    office.tick()
    assert receiver.headlines[1].startswith("OK again, after ")


def test_a_receiver_that_was_away_hears_it_when_it_is_back(
    office: Office, receiver: Receiver
) -> None:
    receiver.stop()
    office.day.missed = 3
    office.run()
    assert "Could not be delivered: alert URL 1 (json), about stored.gaps: no connection" in (
        office.tick()
    )
    cursor = office.cursor
    with pytest.raises(AlertNotDelivered, match="no connection"):
        office.tick()
    assert office.cursor == cursor

    receiver.start()
    office.tick()
    office.tick()
    assert receiver.titles == [GAPS]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_in_trouble_is_asked_again(
    office: Office, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    office.day.missed = 3
    office.run()
    office.tick()
    with pytest.raises(AlertNotDelivered, match=f"HTTP {status}"):
        office.tick()
    receiver.status = 200
    office.tick()
    assert receiver.titles == [GAPS]


def test_what_began_and_ended_while_the_receiver_was_away_is_one_message(
    office: Office, receiver: Receiver
) -> None:
    receiver.stop()
    office.day.missed = 3
    office.run()
    office.tick()
    office.day.missed = 0
    office.run()
    office.tick()
    receiver.start()
    office.tick()
    office.tick()
    assert receiver.titles == [GAPS]
    assert receiver.headlines[0].startswith("OK again. For ")


def test_a_message_that_is_refused_for_ever_holds_up_no_other(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = lambda title: 400 if title == GAPS else 200
    office.day.missed = 3
    office.run()
    assert "1 messages were refused for good" in office.tick()
    assert "will not take the message about stored.gaps: HTTP 400" in caplog.text

    office.day.helpdesk_down = True
    office.run()
    office.tick()
    assert receiver.titles == [JOB]
    assert receiver.refused == [GAPS]


def test_each_receiver_hears_it_once_also_while_another_is_away(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as other:
        monkeypatch.setenv("ALERT_URLS", f"{receiver.alert_url} {other.alert_url}")
        other.stop()
        office.day.missed = 3
        office.run()
        office.tick()
        for _ in range(3):
            with pytest.raises(AlertNotDelivered, match=r"alert URL 2 \(json\)"):
                office.tick()
        other.start()
        office.tick()
        assert (receiver.titles, other.titles) == ([GAPS], [GAPS])


def test_killed_between_sending_and_remembering_it_says_the_same_again(
    office: Office, receiver: Receiver
) -> None:
    office.day.missed = 3
    office.run()
    before = office.cursor
    office.tick()
    office.cursor = before
    office.later(timedelta(minutes=1))
    office.tick()
    assert len(receiver.received) == 2
    assert receiver.received[0] == receiver.received[1]


def test_the_heartbeat_follows_good_runs_of_the_job_alone(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", f"http://{receiver.address}/ping/{TOKEN}")
    office.run()
    office.tick()
    office.tick()
    assert receiver.beats == [f"/ping/{TOKEN}"]

    office.materialize("stored")
    office.day.helpdesk_down = True
    office.run()
    office.tick()
    assert len(receiver.beats) == 1


def test_a_watcher_that_is_down_is_logged_and_nothing_else(
    office: Office,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", f"http://127.0.0.1:1/ping/{TOKEN}")
    office.run()
    assert office.tick().startswith("1 runs ended")
    assert "HEARTBEAT_URL was called and did not take it: ConnectionError" in caplog.text
    assert TOKEN not in caplog.text


def test_a_memory_of_another_version_begins_anew(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    office.cursor = '{"version": 99}'
    office.day.missed = 3
    office.run()
    assert "Begun" in office.tick()
    assert "begun anew" in caplog.text
    assert receiver.received == []


def test_no_secret_is_in_the_memory_or_in_an_error(office: Office, receiver: Receiver) -> None:
    receiver.stop()
    office.day.missed = 3
    office.run()
    said = office.tick()
    with pytest.raises(AlertNotDelivered) as failed:
        office.tick()
    assert TOKEN not in f"{said} {failed.value!r} {office.cursor}"
    assert receiver.address not in f"{said} {failed.value!r} {office.cursor}"
