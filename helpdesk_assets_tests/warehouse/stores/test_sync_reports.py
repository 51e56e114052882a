"""What people are shown of events that wait is what a drain would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from helpdesk_assets.model.webhook_events import EventOutcome, Outcome, WaitingEvents, WebhookEvent
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.backends import BigQueryBackend
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import event, ticket

SINCE = NOON - timedelta(days=35)
OLD, YOUNG = event(ticket("1", 50)), event(ticket("2", 40))


@pytest.fixture
def backend(warehouse: BigQueryClient) -> BigQueryBackend:
    return BigQueryBackend(warehouse)


@pytest.fixture
def sync_tables(warehouse: BigQueryClient) -> SyncTables:
    return SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)


def append(backend: BigQueryBackend, events: Sequence[WebhookEvent]) -> None:
    with Spool(1_000_000) as spool:
        for each in events:
            spool.append(orjson.dumps(each.row(), option=orjson.OPT_UTC_Z))
        backend.append(tables.WEBHOOK_EVENTS, spool)


def merged(backend: BigQueryBackend, *events: WebhookEvent) -> None:
    with Spool(1_000_000) as spool:
        for each in events:
            outcome = EventOutcome(
                each.event_id,
                each.ticket_id,
                each.received_at,
                Outcome.MERGED,
                None,
                None,
                NOON,
                "r",
            )
            spool.append(orjson.dumps(outcome.row(), option=orjson.OPT_UTC_Z))
        backend.append(tables.WEBHOOK_OUTCOMES, spool)


def test_events_wait_before_any_drain_makes_its_table(
    backend: BigQueryBackend, sync_tables: SyncTables, warehouse: BigQueryClient
) -> None:
    append(backend, [YOUNG, OLD])
    assert sync_tables.waiting_events(SINCE) == WaitingEvents(2, OLD.received_at)
    assert warehouse.get_table(tables.WEBHOOK_OUTCOMES.name, fresh=True) is None


def test_doubled_events_wait_once_until_they_are_merged(
    backend: BigQueryBackend, sync_tables: SyncTables
) -> None:
    append(backend, [OLD, OLD, replace(OLD, received_at=NOON), YOUNG])
    assert sync_tables.waiting_events(SINCE) == WaitingEvents(2, OLD.received_at)
    merged(backend, OLD)
    assert sync_tables.waiting_events(SINCE) == WaitingEvents(1, YOUNG.received_at)
    merged(backend, YOUNG, YOUNG)
    assert sync_tables.waiting_events(SINCE) == WaitingEvents()


def test_age_is_told_only_of_events_that_wait() -> None:
    assert WaitingEvents().describe(NOON) == "none"
    waiting = WaitingEvents(2, NOON - timedelta(minutes=3))
    assert waiting.describe(NOON) == "2 webhooks, the oldest came 3 min ago"
