"""Two processes that write at once never double a key, whatever they are.

BigQuery runs their statements at the same time, and two that only insert never conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets_tests.chaos.guards import without
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE
from helpdesk_assets_tests.service_proxy.at_once import run_at_once
from helpdesk_assets_tests.service_proxy.product import Product, open_product

pytestmark = pytest.mark.slow

TICKETS = 12


@pytest.fixture
def product(warehouse_endpoint: str) -> Iterator[Product]:
    with open_product(warehouse_endpoint, TICKETS) as opened:
        yield opened


def new_ids(product: Product) -> list[str]:
    """Let time pass and tickets be made; return their ids."""
    product.simulator.advance(SECONDS_PAST_GRACE)
    return [ticket.ticket_id for ticket in product.simulator.create(3)]


def told_tickets(product: Product, *, heard: bool = True) -> list[TrueTicket]:
    """Let time pass and tickets be made, of which webhooks tell; return them."""
    product.simulator.advance(SECONDS_PAST_GRACE)
    made = product.simulator.create(3)
    if heard:
        product.receive(made)
    return made


def assert_whole(product: Product, errors: list[Exception | None]) -> None:
    """Whoever lost says so in a sentence, and one more run has everything, once."""
    for error in errors:
        assert error is None or isinstance(error, HelpdeskAssetsError), error
    assert None in errors
    assert product.doubled() == {}
    product.simulator.advance(SECONDS_PAST_GRACE)
    product.sync()
    assert product.doubled() == {}
    assert product.missing() == set()


def test_two_first_syncs_at_once_store_each_ticket_once(product: Product) -> None:
    errors = run_at_once(product.clock, [product.sync, product.sync])
    assert_whole(product, errors)


def test_two_later_syncs_at_once_store_new_tickets_once(product: Product) -> None:
    product.sync()
    new_ids(product)
    errors = run_at_once(product.clock, [product.sync, product.sync])
    assert_whole(product, errors)


OTHERS: dict[str, Callable[[Product, list[str]], object]] = {
    "repair": lambda product, ids: product.repair(ids),
    "reconciliation": lambda product, _: product.reconcile(),
    "backfill": lambda product, _: product.backfill(),
    "full sync": lambda product, _: product.sync(RequestedMode.FULL),
}


@pytest.mark.parametrize("other", OTHERS)
def test_sync_beside_another_writer_doubles_nothing(product: Product, other: str) -> None:
    product.sync()
    ids = new_ids(product)
    errors = run_at_once(product.clock, [product.sync, lambda: OTHERS[other](product, ids)])
    assert_whole(product, errors)


def test_two_repairs_of_one_ticket_at_once_store_it_once(product: Product) -> None:
    product.sync()
    ids = new_ids(product)
    errors = run_at_once(product.clock, [lambda: product.repair(ids), lambda: product.repair(ids)])
    assert_whole(product, errors)


def test_sync_beside_a_drain_doubles_nothing(product: Product) -> None:
    """The same new tickets wait as webhooks, which both would merge, and are in the window."""
    product.sync()
    told_tickets(product)
    errors = run_at_once(product.clock, [product.sync, product.drain])
    assert_whole(product, errors)


def test_drain_beside_a_sync_doubles_without_the_lease(product: Product) -> None:
    """The service would do so: what keeps them apart is the lease alone."""
    product.sync()
    told_tickets(product)
    with without("one writer"):
        run_at_once(product.clock, [product.sync, product.drain])
    assert product.doubled()


def test_two_drains_at_once_merge_each_event_once(product: Product) -> None:
    product.sync()
    told_tickets(product)
    errors = run_at_once(product.clock, [product.drain, product.drain])
    assert_whole(product, errors)


def test_two_receivers_beside_a_sync_double_nothing(product: Product) -> None:
    """A vendor that gets no answer posts again, and the other receiver may get it."""
    product.sync()
    made = told_tickets(product, heard=False)
    works: list[Callable[[], object]] = [
        product.sync,
        lambda: product.receive(made),
        lambda: product.receive(made),
    ]
    assert_whole(product, run_at_once(product.clock, works))
    assert product.drain().waiting == 0
