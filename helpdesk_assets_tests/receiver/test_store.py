"""Groups of deliveries in the warehouse: order, guard, tombstones, duplicates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.cloud import bigquery
from pydantic import SecretStr

from helpdesk_assets.errors import AccountMismatch, WarehouseUnavailable
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.store import DeliveryStore, ReadTicket, newest_versions
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.receiver.webhook_posts import START, whole_ticket

READER = TicketReader(FieldMap(), skip_bad=False)
LATER = START + timedelta(hours=1)


def ticket(number: int, revision: int = 0, **fields: Any) -> Ticket:
    read = READER.ticket(whole_ticket(number, revision, **fields), "")
    assert isinstance(read, Ticket)
    return read


def gone(number: int, seconds: int) -> Ticket:
    return tombstone(str(number), START + timedelta(seconds=seconds), {"gone": number})


def deliveries(*tickets: Ticket) -> list[Delivery]:
    return [Delivery(f"e{n}", "t", "rest", START, each) for n, each in enumerate(tickets)]


def table(warehouse: BigQueryClient, spec: TableSpec) -> dict[str, Mapping[str, Any]]:
    return {row[spec.key[-1]]: row for row in warehouse.list_rows(spec.name)}


def raw(row: Mapping[str, Any]) -> Any:
    value = row["raw_json"]
    return json.loads(value) if isinstance(value, str) else value


def read(each: Ticket, after: float = 0) -> ReadTicket:
    return ReadTicket(each, each.modified_time + timedelta(seconds=after))


def test_newest_of_a_group_wins_and_ties_go_last() -> None:
    late = read(ticket(1, 2, status="Closed"))
    other = read(ticket(2, 5))
    assert newest_versions([read(ticket(1, 2)), late, read(ticket(1, 1)), other]) == [late, other]
    assert newest_versions([read(ticket(1, 2), after=1), late]) == [read(ticket(1, 2), after=1)]


@pytest.mark.parametrize("turned", [False, True])
def test_version_takes_the_deletion_of_its_group(turned: bool) -> None:
    group = [read(ticket(1, 2)), read(gone(1, 9))]
    (found,) = newest_versions(reversed(group) if turned else group)

    assert (found.ticket.subject, found.ticket.tombstone) == ("Printer 1", False)
    assert found.ticket.deleted_time == found.read_at == START + timedelta(seconds=9)
    assert found.ticket.modified_time == START + timedelta(seconds=2)


def test_version_after_the_deletion_stays_alive() -> None:
    restored = read(ticket(1, 2))
    assert newest_versions([read(gone(1, 1)), restored]) == [restored]
    seen_later = read(ticket(1, 2), after=60)
    assert newest_versions([read(gone(1, 9)), seen_later]) == [seen_later]


@pytest.mark.parametrize(
    ("received", "read_at"),
    [(-60, 9), (20, 20), (86_400, 9 + 15 * 60), (-86_400, -86_400 + 15 * 60)],
    ids=["clock behind", "in time", "late", "dated in the future"],
)
def test_deletion_is_known_soon_after_it(received: float, read_at: float) -> None:
    delivery = Delivery("e", "t", "rest", START + timedelta(seconds=received), gone(1, 9))
    assert delivery.read_at == START + timedelta(seconds=read_at)


def test_fetched_ticket_was_read_when_it_came() -> None:
    delivery = Delivery("e", "t", "rest", LATER, ticket(1, 2))
    assert delivery.read_at == ticket(1, 2).modified_time
    assert replace(delivery, fetched_at=LATER).read_at == LATER


def test_tombstone_keeps_values_of_the_table(warehouse: BigQueryClient) -> None:
    store = DeliveryStore(warehouse)
    store.write_tickets(deliveries(ticket(1, 2), ticket(2, 2)), "first")
    store.write_tickets(deliveries(gone(1, 9), gone(3, 9), ticket(2, 3)), "second")

    rows = table(warehouse, tables.TICKETS)
    assert (rows["1"]["subject"], raw(rows["1"])["id"]) == ("Printer 1", "1")
    assert rows["1"]["createdTime"] == START
    assert rows["1"]["deletedTime"] == START + timedelta(seconds=9)
    assert (rows["3"]["subject"], raw(rows["3"])) == (None, {"gone": 3})
    assert (rows["2"]["deletedTime"], rows["2"]["_run_id"]) == (None, "second")
    assert rows["2"]["_first_synced_at"] < rows["2"]["_synced_at"]
    found = warehouse.get_table(tables.TICKETS.name, fresh=True)
    assert found is not None
    assert {field.name for field in found.schema} == {c.name for c in tables.TICKETS.columns}


def test_older_versions_and_tombstones_are_skipped(warehouse: BigQueryClient) -> None:
    store = DeliveryStore(warehouse)
    store.write_tickets(deliveries(ticket(1, 9)), "first")
    store.write_tickets(deliveries(ticket(1, 8)), "second")
    store.write_tickets(deliveries(gone(1, 7)), "third")

    (row,) = warehouse.list_rows(tables.TICKETS.name)
    assert (row["_run_id"], row["deletedTime"]) == ("first", None)


def test_existing_table_is_written_with_its_own_types(warehouse: BigQueryClient) -> None:
    """Its raw_json is text and stays text."""
    old = [
        bigquery.SchemaField(c.name, "STRING" if c.name == "raw_json" else str(c.type))
        for c in tables.TICKET_COLUMNS
        if c.name not in ("createdTime", "deletedTime")
    ]
    warehouse.create_table(bigquery.Table(warehouse.dataset.table_id("tickets"), schema=old))
    store = DeliveryStore(warehouse)
    store.write_tickets(deliveries(ticket(1, 1)), "first")
    store.write_tickets(deliveries(gone(1, 2), gone(2, 2)), "second")

    rows = table(warehouse, tables.TICKETS)
    assert json.loads(rows["1"]["raw_json"]) == whole_ticket(1, 1)
    assert json.loads(rows["2"]["raw_json"]) == {"gone": 2}


def test_events_are_recorded_once_even_within_a_group(warehouse: BigQueryClient) -> None:
    store = DeliveryStore(warehouse)
    first, second = deliveries(ticket(1, 1), ticket(2, 1))
    again = Delivery("e0", "t", "rest", START + timedelta(seconds=30), ticket(1, 1))

    assert store.write_events([first, second, again], "first", LATER) == 2
    assert store.write_events([again], "second", LATER + timedelta(seconds=60)) == 0
    rows = table(warehouse, tables.WEBHOOK_EVENTS)
    assert {key: (row["received_at"], row["committed_at"]) for key, row in rows.items()} == {
        "e0": (START, LATER),
        "e1": (START, LATER),
    }


class CrashesBetweenWrites(DeliveryStore):
    def write_events(self, *_: Any) -> int:
        raise WarehouseUnavailable("died")


def test_crash_between_writes_leaves_no_event(warehouse: BigQueryClient) -> None:
    """The order within a group is essential; test_group_commit covers the callers."""
    dying = CrashesBetweenWrites(warehouse)
    group = deliveries(ticket(1, 1))
    dying.write_tickets(group, "first")
    with pytest.raises(WarehouseUnavailable):
        dying.write_events(group, "first", LATER)

    assert warehouse.get_table(tables.WEBHOOK_EVENTS.name, fresh=True) is None
    # After the retry, the ticket is unchanged and the event exists.
    store = DeliveryStore(warehouse)
    store.write_tickets(group, "second")
    assert store.write_events(group, "second", LATER) == 1
    (row,) = warehouse.list_rows(tables.TICKETS.name)
    assert row["_run_id"] == "first"


def test_dropped_table_is_recreated_after_a_refresh(
    warehouse: BigQueryClient, warehouse_settings: Any
) -> None:
    from helpdesk_assets.warehouse.bigquery.connection import connect

    store = DeliveryStore(warehouse)
    store.write_tickets(deliveries(ticket(1, 1)), "first")
    somebody = connect(warehouse_settings)
    somebody.drop_table(tables.TICKETS.name)
    somebody.close()
    store.refresh_schemas()
    store.write_tickets(deliveries(ticket(2, 1)), "second")
    assert set(table(warehouse, tables.TICKETS)) == {"2"}


def test_dataset_of_another_account_takes_no_webhook(
    warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    def opened(host: str) -> Dependencies:
        update = {"helpdesk_base_url": f"https://{host}", "helpdesk_api_token": SecretStr("token")}
        settings = warehouse_settings.model_copy(update=update)
        return open_dependencies(settings, insecure=True)

    owner, other = opened("acme.example.com"), opened("other.example.com")
    refused = [Refusal(START, "rest", 422, "no such ticket", "1", "e")]
    owner.store.write_tickets(deliveries(ticket(1, 1)), "first")
    for _ in range(2):
        with pytest.raises(AccountMismatch, match=r"other\.example\.com"):
            other.store.write_tickets(deliveries(ticket(2, 1)), "second")
        with pytest.raises(AccountMismatch, match=r"other\.example\.com"):
            other.refusals.write_refusals(refused)
    assert set(table(warehouse, tables.TICKETS)) == {"1"}
    assert warehouse.get_table(tables.WEBHOOK_REFUSALS.name, fresh=True) is None
    owner.store.write_tickets(deliveries(ticket(3, 1)), "third")
    owner.refusals.write_refusals(refused)
    assert set(table(warehouse, tables.TICKETS)) == {"1", "3"}
    assert len(table(warehouse, tables.WEBHOOK_REFUSALS)) == 1
    owner.close()
    other.close()
