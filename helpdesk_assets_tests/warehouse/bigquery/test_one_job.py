"""A job has one identity: whatever answer is lost, one job runs, and its result is taken."""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Callable

import pytest
import requests
from google.api_core import exceptions as google
from google.auth import exceptions as auth

from helpdesk_assets.errors import CredentialsRefused, WarehouseRefused, WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.warehouse.bigquery.fake_service import FakeService, stopped

MERGE = Query("MERGE INTO x", (Parameter("a", ColumnType.INT64, 1),))
RUN = "abcdef1234"

LOSSES: dict[str, Callable[[], Exception]] = {
    # A 504 without a reason: google's client does not try it again.
    "504": lambda: google.GatewayTimeout("upstream request timeout"),  # type: ignore[no-untyped-call]
    "503": lambda: google.ServiceUnavailable("later"),  # type: ignore[no-untyped-call]
    "500": lambda: google.InternalServerError("oh", errors=[{"reason": "internalError"}]),  # type: ignore[no-untyped-call]
    "502": lambda: google.BadGateway("Bad Gateway"),  # type: ignore[no-untyped-call]
    "reset": lambda: requests.ConnectionError("Connection reset by peer"),
    "cut": lambda: requests.exceptions.ChunkedEncodingError("IncompleteRead"),
    "reset below requests": lambda: ConnectionResetError(104, "Connection reset by peer"),
    "time-out": lambda: requests.ReadTimeout("read timed out"),
    "time-out of a future": TimeoutError,
    "token server": lambda: auth.TransportError("metadata server"),  # type: ignore[no-untyped-call]
    "408": lambda: google.from_http_status(408, "Request Timeout"),  # type: ignore[no-untyped-call]
    "token server, told so": lambda: auth.RefreshError("503", retryable=True),  # type: ignore[no-untyped-call]
    "google gave up": lambda: google.RetryError(  # type: ignore[no-untyped-call]
        "Timeout of 120.0s exceeded", cause=requests.ConnectionError("refused")
    ),
}
POINTS = {
    "the request for the job": {"insert": 1},
    "the answer to the request": {"inserted": 1},
    "that answer, and the first look": {"inserted": 1, "get": 1},
    "that answer, several looks, and the next request": {"inserted": 1, "insert": 2, "get": 3},
    "an answer while it runs": {"wait": 1},
    "several answers while it runs": {"wait": 3, "reload": 2},
    "everything once": {"insert": 1, "inserted": 1, "get": 1, "wait": 1, "reload": 1},
}


def merge(client: BigQueryClient, attempt: int = 0) -> int:
    return client.run(MERGE, run_id=RUN, step="tickets", attempt=attempt).changed


def load(client: BigQueryClient) -> int:
    return client.load(io.BytesIO(b"{}\n{}\n"), "t", [], run_id=RUN, step="tickets")


def losing(points: dict[str, int], kind: str) -> dict[str, deque[BaseException | None]]:
    # The first `insert` of a lost `inserted` must arrive.
    lost: dict[str, deque[BaseException | None]] = {
        point: deque(LOSSES[kind]() for _ in range(times)) for point, times in points.items()
    }
    if points.get("insert", 0) > 1:
        lost["insert"].appendleft(None)
    return lost


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize(("what", "expected"), [(merge, 3), (load, 2)])
def test_one_job_runs_whatever_answer_is_lost(
    what: Callable[[BigQueryClient], int], expected: int, points: dict[str, int], kind: str
) -> None:
    service = FakeService(losses=losing(points, kind))
    assert what(service.client()) == expected
    assert len(service.ran) == 1
    assert service.cancelled == []


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_job_that_failed_unheard_leads_to_one_more(points: dict[str, int], kind: str) -> None:
    race = google.BadRequest("Could not serialize access", errors=[{"reason": "invalidQuery"}])  # type: ignore[no-untyped-call]
    service = FakeService(deque([race]), losses=losing(points, kind))
    assert merge(service.client()) == 3
    assert [job_id.split("_")[3] for job_id in service.ran] == ["0", "1"]
    first, second = (service.jobs[job_id] for job_id in service.ran)
    assert second.created >= first.created + first.seconds


def test_job_is_asked_for_without_retries_of_the_client() -> None:
    """Each answer is judged here, so that none is taken for a failure of the job."""
    service = FakeService()
    assert merge(service.client()) == 3
    assert service.calls == ["insert", "inserted", "wait"]


def test_upload_is_not_repeated_if_the_service_has_the_job() -> None:
    service = FakeService(losses=losing({"inserted": 1}, "504"))
    assert load(service.client()) == 2
    assert service.uploads == 1


@pytest.mark.parametrize("times", [1, 5])
def test_existing_job_is_found_although_not_at_once(times: int) -> None:
    service = FakeService()
    merge(service.client())
    service.hidden = times
    assert merge(service.client()) == 3
    assert len(service.ran) == 1


def test_job_is_looked_for_where_its_dataset_is() -> None:
    """Outside US and EU a job is only found with its location, which need not be set."""
    service = FakeService(losses=losing({"inserted": 1}, "504"))
    assert merge(service.client(location=None)) == 3
    service = FakeService(losses={"wait": deque([KeyboardInterrupt()])})
    with pytest.raises(KeyboardInterrupt):
        merge(service.client(location=None))
    assert service.cancelled == service.ran


def test_long_waits_are_told_every_five_minutes(caplog: pytest.LogCaptureFixture) -> None:
    service = FakeService(seconds=800)
    with caplog.at_level(logging.WARNING):
        assert merge(service.client()) == 3
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all(
        f"Still running tickets of run {RUN} (job {service.ran[0]})" in text for text in told
    )


def test_existing_job_that_stays_unfound_is_no_wrong_setting() -> None:
    service = FakeService()
    merge(service.client())
    service.hidden, began = 10**9, service.now
    with pytest.raises(WarehouseUnavailable, match="does not find") as caught:
        merge(service.client())
    assert "BIGQUERY_" not in str(caught.value)
    assert 120 <= service.now - began <= 200


def test_time_is_up_for_the_service_before_the_client() -> None:
    service = FakeService(seconds=10**6)
    with pytest.raises(WarehouseUnavailable, match="timed out after 855s") as caught:
        merge(service.client())
    assert service.ran[0] in str(caught.value)
    assert len(service.ran) == 1
    service.seconds = 5
    assert merge(service.client(), attempt=1) == 3
    assert [job_id.split("_")[3] for job_id in service.ran] == ["0", "1"]


def test_time_that_is_up_is_told_with_job_and_outcome() -> None:
    service = FakeService(seconds=10**6, ends_late_jobs=False)
    with pytest.raises(WarehouseUnavailable, match="within 900 s") as caught:
        merge(service.client())
    assert service.cancelled == service.ran
    for words in ("tickets of run abcdef1234", service.ran[0], "cancelled and has changed nothing"):
        assert words in str(caught.value)


def test_failed_cancellation_is_told_too() -> None:
    service = FakeService(
        seconds=10**6, ends_late_jobs=False, losses={"cancel": deque([LOSSES["503"]()])}
    )
    with pytest.raises(WarehouseUnavailable, match="not known yet"):
        merge(service.client())


def test_job_that_ends_while_it_is_cancelled_counts() -> None:
    service = FakeService(seconds=901, ends_late_jobs=False, cancel_seconds=5)
    assert merge(service.client()) == 3
    assert len(service.ran) == 1


@pytest.mark.parametrize("point", ["inserted", "wait", "reload"])
@pytest.mark.parametrize("left", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whoever_leaves_cancels_the_job(
    point: str, left: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    losses: dict[str, deque[BaseException | None]] = {point: deque([left()])}
    if point == "reload":
        losses["wait"] = deque([LOSSES["504"]()])
    service = FakeService(losses=losses)
    with caplog.at_level(logging.WARNING), pytest.raises(left):
        merge(service.client())
    assert service.cancelled == service.ran
    assert "cancelled and has changed nothing" in caplog.text
    assert service.now < 15


def test_service_that_stays_silent_is_given_up_and_told() -> None:
    service = FakeService()
    service.losses = {
        point: deque(LOSSES["reset"]() for _ in range(500)) for point in ("insert", "get", "cancel")
    }
    with pytest.raises(WarehouseUnavailable, match="did not answer") as caught:
        merge(service.client())
    assert "a retry of this step looks for it first" in str(caught.value)
    assert 120 <= service.now < 240


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (google.Forbidden("denied", errors=[{"reason": "accessDenied"}]), CredentialsRefused),  # type: ignore[no-untyped-call]
        (google.NotFound("Not found: Table p:d.x"), WarehouseRefused),  # type: ignore[no-untyped-call]
        (google.BadRequest("Syntax error", errors=[{"reason": "invalidQuery"}]), WarehouseRefused),  # type: ignore[no-untyped-call]
        (auth.RefreshError("expired"), CredentialsRefused),  # type: ignore[no-untyped-call]
    ],
)
def test_refused_request_is_asked_once(refusal: Exception, kind: type[Exception]) -> None:
    service = FakeService(losses={"insert": deque([refusal])})
    with pytest.raises(kind):
        merge(service.client())
    assert service.calls == ["insert"]


def test_right_that_is_withdrawn_while_waiting_ends_the_job() -> None:
    denied = google.Forbidden("denied", errors=[{"reason": "accessDenied"}])  # type: ignore[no-untyped-call]
    service = FakeService(losses={"wait": deque([denied])})
    with pytest.raises(CredentialsRefused):
        merge(service.client())
    assert service.cancelled == service.ran


def test_retry_waits_for_the_job_of_the_attempt_before() -> None:
    service = FakeService(seconds=600)
    service.losses = {"wait": deque([KeyboardInterrupt()]), "cancel": deque([LOSSES["503"]()])}
    with pytest.raises(KeyboardInterrupt):
        merge(service.client())
    assert merge(service.client(), attempt=1) == 3
    assert len(service.ran) == 1
    assert service.now >= 600


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_retry_takes_the_result_of_an_attempt_that_succeeded(attempt: int) -> None:
    race = google.BadRequest("due to concurrent update", errors=[{"reason": "invalidQuery"}])  # type: ignore[no-untyped-call]
    service = FakeService(deque([race, race]))
    merge(service.client())
    uploads = service.calls.count("insert")
    assert merge(service.client(), attempt=attempt) == 3
    assert len(service.ran) == 3
    assert service.calls.count("insert") == uploads


def test_retry_of_failed_attempts_takes_a_new_id() -> None:
    service = FakeService(deque([stopped("cancelled")] * 3))
    for attempt in range(3):
        with pytest.raises(WarehouseUnavailable):
            merge(service.client(), attempt=attempt)
    assert merge(service.client(), attempt=3) == 3
    assert [job_id.split("_")[3] for job_id in service.ran] == ["0", "1", "2", "3"]


def test_first_attempt_looks_for_nothing() -> None:
    service = FakeService()
    merge(service.client())
    assert "get" not in service.calls


def test_failed_job_is_named_with_its_page_in_the_console() -> None:
    failure = google.BadRequest("no such column", errors=[{"reason": "invalidQuery"}])  # type: ignore[no-untyped-call]
    service = FakeService(deque([failure]))
    with pytest.raises(WarehouseRefused) as caught:
        merge(service.client())
    page = f"https://console.cloud.google.com/bigquery?project=payer&j=bq:EU:{service.ran[0]}"
    assert f"(job {service.ran[0]})" in str(caught.value)
    assert page in str(caught.value)
    result = service.client().run(MERGE, run_id="another1", step="tickets")
    assert result.console_url.startswith("https://console.cloud.google.com/bigquery?project=payer")
    assert result.job_id in result.console_url
    local = service.client(is_emulator=True).run(MERGE, run_id="third123", step="tickets")
    assert local.console_url == ""
