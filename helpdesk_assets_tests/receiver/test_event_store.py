"""Events and refusals in the warehouse, and whose dataset it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import AccountMismatch, WarehouseUnavailable
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.receiver.event_store import UntilItSucceeds
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.receiver.conftest import stored_events
from helpdesk_assets_tests.receiver.webhook_posts import START

REFUSED = Refusal(START, "rest", 422, "no such ticket", "1", "e")


def event(number: int) -> WebhookEvent:
    return WebhookEvent(f"e{number}", str(number), "t", EventKind.HINT, "rest", START)


def opened(settings: Settings, host: str) -> Dependencies:
    update = {"helpdesk_base_url": f"https://{host}", "helpdesk_api_token": SecretStr("token")}
    return open_dependencies(settings.model_copy(update=update), insecure=True)


@pytest.fixture
def owner(warehouse_settings: Settings) -> Iterator[Dependencies]:
    with closing(opened(warehouse_settings, "acme.example.com")) as parts:
        yield parts


@pytest.fixture
def other(warehouse_settings: Settings) -> Iterator[Dependencies]:
    with closing(opened(warehouse_settings, "other.example.com")) as parts:
        yield parts


def test_bad_event_is_refused_and_the_others_stored(
    owner: Dependencies, warehouse: BigQueryClient
) -> None:
    bad = replace(event(2), type="\ud800")
    refused = owner.store.append_events([event(1), bad, event(3)])

    assert list(refused) == [1]
    assert "Ticket 2" in str(refused[1])
    assert {each.event_id for each in stored_events(warehouse)} == {"e1", "e3"}


def test_refusal_is_stored_and_a_bad_one_is_given_up(
    owner: Dependencies, warehouse: BigQueryClient
) -> None:
    owner.store.append_refusals([REFUSED, replace(REFUSED, type="\ud800")])

    (row,) = warehouse.list_rows(tables.WEBHOOK_REFUSALS.name)
    assert row == {**REFUSED.row(), "received_at": START}


def test_dataset_of_another_account_takes_no_event(
    owner: Dependencies, other: Dependencies, warehouse: BigQueryClient
) -> None:
    """Neither before the first sync nor after it: the drain would merge them."""
    owner.store.append_events([event(1)])
    for _ in range(2):
        with pytest.raises(AccountMismatch, match=r"other\.example\.com"):
            other.store.append_events([event(2)])
        with pytest.raises(AccountMismatch, match=r"other\.example\.com"):
            other.store.append_refusals([REFUSED])
    assert warehouse.get_table(tables.WEBHOOK_REFUSALS.name, fresh=True) is None
    owner.store.append_events([event(3)])
    owner.store.append_refusals([REFUSED])

    assert {each.event_id for each in stored_events(warehouse)} == {"e1", "e3"}
    assert warehouse.get_table(tables.TICKETS.name, fresh=True) is None


def test_dataset_of_another_accounts_sync_takes_no_event(
    other: Dependencies, warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    SyncTables.from_settings(warehouse, warehouse_settings).claim("0123456789abcdef")

    with pytest.raises(AccountMismatch):
        other.store.append_events([event(1)])
    assert stored_events(warehouse) == []


def test_adopted_events_belong_to_the_new_account(
    owner: Dependencies, warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    owner.store.append_events([event(1)])
    sync_tables = SyncTables.from_settings(warehouse, warehouse_settings)
    warehouse.get_table(tables.WEBHOOK_EVENTS.name, fresh=True)
    sync_tables.claim("0123456789abcdef")

    assert {each.digest for each in sync_tables.claims()} == {"0123456789abcdef"}


def test_check_is_repeated_until_it_succeeds_once() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise WarehouseUnavailable("gone")

    once = UntilItSucceeds(check)
    for _ in range(2):
        with pytest.raises(WarehouseUnavailable):
            once()
    with ExitStack() as stack:
        for _ in range(8):
            thread = threading.Thread(target=once)
            thread.start()
            stack.callback(thread.join)
    assert len(calls) == 3
