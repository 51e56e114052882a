"""What a run bills on a large table, by the statements that it really sends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.service_proxy.prices import as_price
from helpdesk_assets_tests.service_proxy.product import Product, open_product
from helpdesk_assets_tests.warehouse.billed_bytes import PriceList
from helpdesk_assets_tests.warehouse.cost_tables import CHANGED, MIDDLE
from helpdesk_assets_tests.warehouse.paper_desk import desk

pytestmark = [pytest.mark.slow, pytest.mark.warehouse]

CHANGES, OF_OLD_TICKETS = 50, 10
DESK = desk(MIDDLE)


@pytest.fixture
def product(warehouse_endpoint: str) -> Iterator[Product]:
    price = as_price(PriceList(DESK).bill)
    with open_product(warehouse_endpoint, 80, start=NOON, price=price) as opened:
        yield opened


def test_run_of_fifty_changes_bills_no_more_than_on_paper(product: Product) -> None:
    """The tables count as those of five million tickets."""
    product.sync()
    product.proxy.datasets.declared |= {
        name: (int(table.rows), int(table.rows * table.row_bytes)) for name, table in DESK.items()
    }
    product.simulator.change(OF_OLD_TICKETS)
    product.simulator.create(CHANGES - OF_OLD_TICKETS)
    product.simulator.advance(timedelta(hours=2).total_seconds())
    jobs = product.proxy.engine.jobs
    before = set(jobs)
    assert product.sync().tickets_synced >= CHANGES
    billed = [job.price or 0 for name, job in jobs.items() if name not in before]
    assert 0 < sum(billed) <= CHANGED.bill(MIDDLE).high
