"""Statements of one table run at once, on snapshots, and conflict as BigQuery's do."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as google

from helpdesk_assets_tests.service_proxy.conftest import JANUARY, MARCH, Service
from helpdesk_assets_tests.service_proxy.overlaps import MAX_RERUNS


def test_dml_runs_for_its_time_and_commits_at_its_end(service: Service) -> None:
    job = service.merge("a", 1, "one")
    assert job.state == "RUNNING"
    service.wait(2.9)
    assert service.job("one").state == "RUNNING"
    assert service.rows() == []
    service.wait(0.1)
    assert service.job("one").state == "DONE"
    assert service.rows() == [("a", 1)]
    job.result()
    assert job.num_dml_affected_rows == 1


def test_long_poll_waits_until_the_job_has_ended(service: Service) -> None:
    job = service.merge("a", 1, "one")
    assert not job.done()
    service.clock.advance(3)
    job.result()
    assert service.rows() == [("a", 1)]


def test_two_inserts_of_one_key_double_it(service: Service) -> None:
    jobs = [service.merge("a", 1, "one"), service.merge("a", 2, "two")]
    service.wait(3)
    for job in jobs:
        job.result()
        assert job.num_dml_affected_rows == 1
    assert service.rows() == [("a", 1), ("a", 2)]


def test_later_statement_overlaps_only_while_others_are_under_way(service: Service) -> None:
    service.merge("a", 1, "one")
    service.wait(2)
    service.merge("a", 2, "two")
    service.wait(2)
    service.merge("a", 3, "three")
    service.wait(10)
    # The second has not seen the first, the third has seen the first and not the second.
    assert service.rows() == [("a", 2), ("a", 3)]


def test_statements_one_after_the_other_keep_one_row(service: Service) -> None:
    for value in range(3):
        service.merge("a", value, f"job_{value}")
        service.wait(3)
    assert service.rows() == [("a", 2)]


def test_updates_of_one_partition_run_again_and_see_each_other(service: Service) -> None:
    service.store("a", 0)
    service.merge("a", 1, "one")
    service.merge("a", 2, "two")
    service.wait(3)
    assert service.job("one").state == "DONE"
    assert service.job("two").state == "RUNNING"
    assert service.proxy.engine.jobs["two"].reruns == 1
    service.wait(3)
    assert service.rows() == [("a", 2)]


def test_updates_of_two_partitions_never_conflict(service: Service) -> None:
    service.store("a", 0)
    service.store("b", 0, MARCH)
    service.merge("a", 1, "one")
    service.merge("b", 1, "two", MARCH)
    service.wait(3)
    assert service.proxy.engine.jobs["two"].reruns == 0
    assert service.rows() == [("a", 1), ("b", 1)]


def test_any_two_updates_conflict_without_partitions(service: Service) -> None:
    service.client.delete_table(service.table)
    service.make_table(partitioned=False)
    service.store("a", 0)
    service.store("b", 0, MARCH)
    service.merge("a", 1, "one")
    service.merge("b", 1, "two", MARCH)
    service.wait(3)
    assert service.proxy.engine.jobs["two"].reruns == 1


def test_update_beside_an_insert_does_not_conflict(service: Service) -> None:
    service.store("a", 0)
    service.merge("b", 1, "insert", JANUARY)
    service.merge("a", 1, "update", JANUARY)
    service.wait(3)
    assert service.proxy.engine.jobs["update"].reruns == 0
    assert service.rows() == [("a", 1), ("b", 1)]


@pytest.mark.slow
def test_long_statement_beside_a_busy_writer_never_commits(service: Service) -> None:
    service.store("a", 0)
    service.proxy.engine.durations = lambda sql: 3.0 if "99 AS value" in sql else 1.0
    long = service.merge("a", 99, "long")
    for number in range(3 * (MAX_RERUNS + 1) + 1):
        service.merge("a", number, f"short_{number}")
        service.wait(1)
    with pytest.raises(google.BadRequest, match="Could not serialize access to table"):
        long.result()
    assert dict(service.rows())["a"] != 99


def test_deleted_rows_conflict_with_updates(service: Service) -> None:
    service.store("a", 0)
    service.query(f"DELETE FROM `{service.table}` WHERE `id` = 'a'", "delete")
    service.merge("a", 1, "update")
    service.wait(3)
    assert service.proxy.engine.jobs["update"].reruns == 1
    service.wait(3)
    assert service.rows() == [("a", 1)]


def test_snapshots_leave_nothing_behind(service: Service) -> None:
    service.store("a", 0)
    for number in range(2):
        service.merge("a", number, f"update_{number}")
        service.merge("new", number, f"insert_{number}")
    service.wait(100)
    tables = [item.table_id for item in service.client.list_tables(service.dataset)]
    assert tables == ["t"]


def test_reads_run_at_once_beside_a_statement(service: Service) -> None:
    service.store("a", 0)
    service.merge("a", 1, "one")
    read = service.query(f"SELECT `value` FROM `{service.table}`", "read")
    assert [row["value"] for row in read.result()] == [0]


def test_failing_statement_fails_as_a_job(service: Service) -> None:
    job = service.query(f"DELETE FROM `{service.table}` WHERE ERROR('no') = 'a'", "bad")
    other = service.query(f"DELETE FROM `{service.table}` WHERE `nothing` = 'a'", "worse")
    service.wait(3)
    with pytest.raises(google.GoogleAPICallError):
        other.result(retry=None)
    assert service.job("worse").state == "DONE"
    assert job.done()
