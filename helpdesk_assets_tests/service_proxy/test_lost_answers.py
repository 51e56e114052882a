"""An answer that nobody got makes no second job, and a job that nobody waits for ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE
from helpdesk_assets_tests.service_proxy.engine import RUN_AT_ONCE, WAIT_AT_MOST
from helpdesk_assets_tests.service_proxy.faults import ServiceFault
from helpdesk_assets_tests.service_proxy.product import Product, open_product

pytestmark = pytest.mark.slow

TICKETS = 12
UNKNOWN = (
    ServiceFault.ANSWER_LOST,
    ServiceFault.ANSWER_504,
    ServiceFault.POLL_LOST,
    ServiceFault.POLL_504,
)


@pytest.fixture
def product(warehouse_endpoint: str) -> Iterator[Product]:
    with open_product(warehouse_endpoint, TICKETS) as opened:
        yield opened


@pytest.mark.parametrize("table", [tables.TICKETS.name, tables.RAW_TICKET_CHANGES.name])
@pytest.mark.parametrize("fault", UNKNOWN)
def test_unknown_outcome_of_a_first_load_runs_once(
    product: Product, fault: ServiceFault, table: str
) -> None:
    product.proxy.faults.order(fault, table=table)
    product.sync()
    assert product.proxy.faults.shown[fault] == 1
    assert product.doubled() == {}
    assert product.missing() == set()
    assert len(product.jobs_on(table)) == 1


def test_several_504s_in_a_row_are_one_job(product: Product) -> None:
    product.proxy.faults.order(ServiceFault.ANSWER_504, table=tables.TICKETS.name)
    product.proxy.faults.order(ServiceFault.POLL_504, count=3, table=tables.TICKETS.name)
    product.sync()
    assert len(product.jobs_on(tables.TICKETS.name)) == 1
    assert product.doubled() == {}


def test_job_that_was_never_accepted_is_sent_again(product: Product) -> None:
    product.proxy.faults.order(ServiceFault.NOT_ACCEPTED, table=tables.TICKETS.name)
    product.sync()
    assert product.missing() == set()
    assert len(product.jobs_on(tables.TICKETS.name)) == 1


def test_conflict_and_then_not_found_is_waited_for(product: Product) -> None:
    product.proxy.faults.order(ServiceFault.ANSWER_504, table=tables.TICKETS.name)
    product.proxy.faults.order(ServiceFault.NOT_FOUND, count=2, table=tables.TICKETS.name)
    product.sync()
    assert product.missing() == set()
    assert len(product.jobs_on(tables.TICKETS.name)) == 1


def test_every_statement_has_a_time_limit_of_the_service(product: Product) -> None:
    product.sync()
    jobs = [job for job in product.proxy.engine.jobs.values() if job.dml is not None]
    assert jobs
    assert all(int(job.configuration.get("jobTimeoutMs", 0)) > 0 for job in jobs)


@pytest.mark.parametrize("quota_text", [False, True])
def test_full_queue_is_waited_for_not_a_used_up_day(product: Product, quota_text: bool) -> None:
    product.sync()
    product.simulator.advance(SECONDS_PAST_GRACE)
    product.simulator.create(1)
    product.proxy.engine.quota_text = quota_text
    _fill_queue(product)
    product.sync()
    assert product.missing() == set()


def _fill_queue(product: Product) -> None:
    """Somebody else's statements wait for the tickets table, as many as may."""
    name = product.direct.dataset.table(tables.TICKETS.name)
    client = product.direct._client.__class__(
        project=product.settings.bigquery_project,
        credentials=product.direct._client._credentials,
        client_options={"api_endpoint": product.proxy.endpoint},
    )
    for number in range(RUN_AT_ONCE + WAIT_AT_MOST):
        sql = f"UPDATE {name} SET subject = subject WHERE ticket_id = 'nobody'"
        client.query(sql, job_id=f"other_{number}", job_retry=None)
    client.close()  # type: ignore[no-untyped-call]
