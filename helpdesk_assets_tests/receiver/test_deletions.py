"""What is a deletion: the vendor's own word, never a single 404, and never a time beyond now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver.absent_tickets import AbsentTickets
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.wiring import open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open, with_dependencies
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    Sender,
    rest_event,
    text,
    whole_ticket,
    zendesk_headers,
)

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def rows(warehouse: BigQueryClient, table: str = tables.TICKETS.name) -> list[dict[str, Any]]:
    return list(warehouse.list_rows(table)) if warehouse.get_table(table, fresh=True) else []


def deletion(ticket_id: str, at: datetime = START) -> dict[str, Any]:
    named = {"ticketId": ticket_id, "modifiedTime": text(at)}
    return {"id": f"gone {ticket_id}", "type": "ticket.deleted", **named}


def hint(ticket_id: str, event_id: str = "hint", **more: Any) -> dict[str, Any]:
    return {"id": event_id, "type": "ticket.updated", "ticketId": ticket_id, **more}


def test_deletion_sets_its_time(sender: Sender, warehouse: BigQueryClient) -> None:
    sender.send(rest_event(whole_ticket(1), "there"))
    gone_at = START + timedelta(seconds=60)
    assert sender.send(deletion("1", gone_at)).status_code == 200

    (stored,) = rows(warehouse)
    assert (stored["subject"], stored["deletedTime"]) == ("Printer 1", gone_at)


def test_absent_ticket_is_no_deletion(
    sender: Sender, warehouse: BigQueryClient, simulator: SimulatedHelpdesk
) -> None:
    (changed,) = simulator.change(1, fields={"subject": "Kept"})
    assert sender.send(hint(changed.ticket_id, "there")).status_code == 200
    simulator.delete(ids=[changed.ticket_id])
    answer = sender.send(hint(changed.ticket_id, "gone"))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    (stored,) = rows(warehouse)
    assert (stored["subject"], stored["deletedTime"]) == ("Kept", None)
    assert [row["event_id"] for row in rows(warehouse, "webhook_events")] == ["there"]
    assert sender.health()["status"] == "ok"


def test_unknown_ticket_is_asked_for_again_and_then_refused(
    open_receiver: Open, warehouse: BigQueryClient
) -> None:
    with open_receiver() as sender:
        now = text(datetime.now(UTC))
        assert sender.send(hint("999999", modifiedTime=now)).status_code == 503
        assert sender.send(hint("999999", modifiedTime=text(START))).status_code == 422
    with open_receiver(shown_within=timedelta(0)) as sender:
        assert sender.send(hint("999999")).status_code == 422
    assert rows(warehouse) == []


@pytest.mark.parametrize(("seconds", "status"), [(0, 503), (899, 503), (900, 422)])
def test_absence_is_believed_once_lists_had_time(seconds: float, status: int) -> None:
    absent = AbsentTickets(timedelta(minutes=15))
    absent.rejection("1", None, START)
    later = START + timedelta(seconds=seconds)
    assert absent.rejection("1", later, later).status == status
    absent.found("1")
    assert absent.rejection("1", later, later).status == 503


def test_deletion_of_an_unknown_ticket_leaves_no_row(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    assert sender.send(deletion("4711")).status_code == 200
    sender.send(rest_event(whole_ticket(1), "there"))
    assert sender.send(deletion("4712")).status_code == 200
    assert sender.send({"type": "ticket.deleted", "ticketId": "4713"}).status_code == 200

    assert [row["ticket_id"] for row in rows(warehouse)] == ["1"]
    assert [row["ticket_id"] for row in rows(warehouse, "webhook_events")] == ["1"]
    assert sender.health()["ignored"] == 3


class TicketStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.tickets: list[Ticket] = []

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        self.tickets += [delivery.ticket for delivery in deliveries]


class NoTickets:
    """A helpdesk that has no ticket, and whose clock is ahead of ours."""

    def __init__(self, served_at: datetime | None) -> None:
        self.served_at = served_at

    async def ticket(self, ticket_id: str) -> None:
        return None

    def close(self) -> None: ...


def told(name: str, at: datetime) -> tuple[Any, Mapping[str, str]]:
    """Return each vendor's own word that ticket 7 is deleted, with its headers."""
    shown = {"X-Webhook-Secret": SECRET}
    if name == "zoho_desk":
        time = str(int(at.timestamp() * 1000))
        event = {"payload": {"id": "7"}, "eventTime": time, "eventType": "Ticket_Delete"}
        return [event], shown
    event = {
        "id": "e", "type": "zen:event-type:ticket.soft_deleted", "time": text(at),
        "zendesk_event_version": "2022-11-06", "detail": {"id": "7"},
    }  # fmt: skip
    return event, zendesk_headers(json.dumps(event).encode(), SECRET, datetime.now(UTC))


@pytest.mark.parametrize("name", ["zoho_desk", "zendesk", "rest"])
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=90)])
def test_deletion_is_never_dated_beyond_now(
    settings_alone: Settings, name: str, ahead: timedelta
) -> None:
    """The later of the receiver's clock and the helpdesk's, which dates changes, is now."""
    store, now = TicketStore(), datetime.now(UTC).replace(microsecond=0)
    own = settings_alone.model_copy(
        update={
            "helpdesk_provider": name,
            "helpdesk_base_url": "https://desk.zoho.eu",
            "helpdesk_user": "ann@example.com",
            "zoho_org_id": "7",
            "zoho_client_id": "id",
            "zoho_client_secret": settings_alone.webhook_secrets,
            "zoho_refresh_token": settings_alone.webhook_secrets,
        }
    )
    parts = with_dependencies(
        open_dependencies(own), {"store": store, "fetcher": NoTickets(now + ahead)}
    )
    with (
        served(build_app(parts, now=lambda: now)) as url,
        closing(Sender(url, name)) as sender,
    ):
        for at in (FAR, START):
            if name == "rest":
                answer = sender.send(deletion("7", at) | {"id": text(at)})
            else:
                event, headers = told(name, at)
                answer = sender.post(json.dumps(event).encode(), headers)
            assert answer.status_code == 200
    assert [ticket.deleted_time for ticket in store.tickets] == [now + ahead, START]
    assert all(ticket.modified_time == ticket.deleted_time for ticket in store.tickets)


def test_whole_ticket_is_not_deleted_beyond_now(settings_alone: Settings) -> None:
    store, now = TicketStore(), datetime.now(UTC).replace(microsecond=0)
    parts = with_dependencies(
        open_dependencies(settings_alone), {"store": store, "fetcher": NoTickets(None)}
    )
    with served(build_app(parts, now=lambda: now)) as url, closing(Sender(url)) as sender:
        ticket = whole_ticket(1, 5, deletedTime=text(FAR))
        assert sender.send(rest_event(ticket, "far")).status_code == 200
    (stored,) = store.tickets
    assert (stored.deleted_time, stored.modified_time) == (now, START + timedelta(seconds=5))


def test_tombstone_of_the_helpdesk_needs_no_known_ticket(
    open_alone: Open, memory: MemoryStore
) -> None:
    """A fetched ticket that is deleted has existed, so the table is not asked."""

    class Merged(NoTickets):
        async def ticket(self, ticket_id: str) -> Ticket:  # type: ignore[override]
            return tombstone(ticket_id, START, {})

    memory.find_known = None  # type: ignore[method-assign,assignment]
    with open_alone(store=memory, fetcher=Merged(None)) as sender:
        assert sender.send(hint("7")).status_code == 200
    assert memory.written == ["hint"]
