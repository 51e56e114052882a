"""Jobs are accepted, wait, end early, and are found again as on the service."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.api_core import exceptions as google

from helpdesk_assets_tests.service_proxy.conftest import NO_RETRY, Service
from helpdesk_assets_tests.service_proxy.engine import RUN_AT_ONCE, WAIT_AT_MOST
from helpdesk_assets_tests.service_proxy.faults import ServiceFault


def states(service: Service, *wanted: str) -> list[str]:
    return [job.job_id for job in service.client.list_jobs(state_filter=wanted[0])]


def test_two_statements_run_twenty_wait_the_next_fails(service: Service) -> None:
    for number in range(RUN_AT_ONCE + WAIT_AT_MOST):
        service.merge(f"key_{number}", 1, f"job_{number}")
    assert states(service, "running") == ["job_1", "job_0"]
    assert len(states(service, "pending")) == WAIT_AT_MOST
    refused = service.merge("late", 1, "late")
    with pytest.raises(google.BadRequest, match="Too many DML statements outstanding") as found:
        refused.result(retry=None)
    assert found.value.errors[0]["reason"] == "resourcesExceeded"
    service.wait(3)
    assert states(service, "running") == ["job_3", "job_2"]


def test_full_queue_may_be_told_as_an_exceeded_quota(service: Service) -> None:
    service.proxy.engine.quota_text = True
    for number in range(RUN_AT_ONCE + WAIT_AT_MOST):
        service.merge(f"key_{number}", 1, f"job_{number}")
    with pytest.raises(google.Forbidden) as found:
        service.merge("late", 1, "late").result(retry=None)
    assert found.value.errors[0]["location"] == "max_dml_outstanding_per_table"


def test_tables_do_not_wait_for_each_other(service: Service) -> None:
    for number in range(3):
        service.merge("a", number, f"job_{number}")
    other = service.query(f"CREATE TABLE `{service.table}_2` AS SELECT 1 AS id", "other")
    assert other.done()
    inserted = service.query(f"INSERT INTO `{service.table}_2` (id) VALUES (2)", "insert")
    assert inserted.state == "RUNNING"


@pytest.mark.parametrize("fault", [ServiceFault.ANSWER_LOST, ServiceFault.ANSWER_504])
def test_job_goes_on_after_its_answer_is_lost(service: Service, fault: ServiceFault) -> None:
    service.proxy.faults.order(fault)
    with pytest.raises((google.GatewayTimeout, requests.ConnectionError)):
        service.merge("a", 1, "lost")
    service.wait(3)
    assert service.rows() == [("a", 1)]
    with pytest.raises(google.Conflict, match="Already Exists: Job"):
        service.merge("a", 1, "lost")
    assert service.job("lost").state == "DONE"


def test_504_before_the_job_is_accepted_leaves_nothing(service: Service) -> None:
    service.proxy.faults.order(ServiceFault.NOT_ACCEPTED)
    with pytest.raises(google.GatewayTimeout):
        service.merge("a", 1, "lost")
    service.wait(3)
    assert service.rows() == []
    service.merge("a", 1, "lost")
    service.wait(3)
    assert service.rows() == [("a", 1)]


@pytest.mark.parametrize("fault", [ServiceFault.POLL_LOST, ServiceFault.POLL_504])
def test_poll_may_fail_while_the_job_goes_on(service: Service, fault: ServiceFault) -> None:
    job = service.merge("a", 1, "one")
    service.proxy.faults.order(fault)
    with pytest.raises((google.GatewayTimeout, requests.ConnectionError)):
        job.reload(retry=NO_RETRY)
    service.wait(3)
    job.result()
    assert service.rows() == [("a", 1)]


def test_conflict_may_be_followed_by_not_found(service: Service) -> None:
    service.merge("a", 1, "one")
    with pytest.raises(google.Conflict):
        service.merge("a", 1, "one")
    service.proxy.faults.order(ServiceFault.NOT_FOUND)
    with pytest.raises(google.NotFound):
        service.job("one")
    assert service.job("one").state == "RUNNING"


def test_faults_of_one_table_leave_others_alone(service: Service) -> None:
    service.proxy.faults.order(ServiceFault.ANSWER_504, table="other")
    service.merge("a", 1, "one")
    assert not service.proxy.faults.shown


def test_same_id_never_runs_twice(service: Service) -> None:
    service.merge("a", 1, "one")
    service.wait(3)
    with pytest.raises(google.Conflict):
        service.merge("a", 2, "one")
    service.wait(3)
    assert service.rows() == [("a", 1)]


def test_job_timeout_ends_a_job_without_effect(service: Service) -> None:
    job = service.merge("a", 1, "one", job_timeout_ms=2000)
    service.wait(5)
    with pytest.raises(google.GoogleAPICallError, match="Job timed out after 2s"):
        job.result(retry=None)
    assert service.rows() == []


def test_job_timeout_counts_what_a_job_waits(service: Service) -> None:
    for number in range(RUN_AT_ONCE):
        service.merge(f"key_{number}", 1, f"job_{number}")
    service.merge("late", 1, "late", job_timeout_ms=2000)
    service.wait(2)
    assert service.job("late").error_result["reason"] == "stopped"


def test_cancelled_job_has_no_effect_and_makes_room(service: Service) -> None:
    jobs = [service.merge(f"key_{number}", 1, f"job_{number}") for number in range(3)]
    assert jobs[0].cancel()
    assert service.job("job_2").state == "RUNNING"
    service.wait(3)
    assert service.rows() == [("key_1", 1), ("key_2", 1)]
    assert service.job("job_0").error_result["message"].startswith("Job execution was cancelled")


def test_finished_job_cannot_be_cancelled(service: Service) -> None:
    job = service.merge("a", 1, "one")
    service.wait(3)
    job.cancel()
    assert service.job("one").error_result is None
    assert service.rows() == [("a", 1)]


def test_price_is_told_before_and_after_and_limits(service: Service) -> None:
    asked: list[tuple[str, Any]] = []

    def price(sql: str, parameters: Any) -> int:
        asked.append((sql, parameters))
        return 20_971_520

    service.proxy.engine.price = price
    estimate = service.merge("a", 1, "dry", dry_run=True)
    assert estimate.total_bytes_processed == 20_971_520
    job = service.merge("a", 1, "one", maximum_bytes_billed=20_971_520)
    service.wait(3)
    job.result()
    assert job.total_bytes_billed == 20_971_520
    refused = service.merge("b", 1, "two", maximum_bytes_billed=10_485_760)
    with pytest.raises(google.GoogleAPICallError, match="20971520 or higher required"):
        refused.result(retry=None)
    service.wait(3)
    assert service.rows() == [("a", 1)]
    assert len(asked) == 3
