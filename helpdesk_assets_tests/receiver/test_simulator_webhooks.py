"""The simulated helpdesk posts to a receiver, and the tables then equal the helpdesk."""

from __future__ import annotations

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender


def test_delivered_changes_are_in_the_tables(
    sender: Sender, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    """Doubled ones once, held ones late and out of order, and an older version never wins."""
    url = f"{sender.url}/webhooks/rest"
    simulator.send_webhooks(url=url, secret=SECRET, tries=5, lose=2, hold=3, double=2)
    changed = simulator.change(10, spread_seconds=20)
    again = simulator.change(ids=[changed[3].ticket_id], spread_seconds=2)
    simulator.webhook_status()
    assert simulator.release_webhooks(newest_first=True) == 3
    seen = simulator.webhook_status()

    assert set(seen.answers) == {"200"}
    assert seen.answers["200"] == 5 + 3 + 2 + 1
    lost = {ticket_id for ticket_id, _ in seen.lost}
    truth = {each.ticket_id: each.modified_time for each in simulator.truth()}
    rows = {row["ticket_id"]: row for row in warehouse.list_rows(tables.TICKETS.name)}
    assert set(rows) == {each.ticket_id for each in changed} - lost
    assert {key: row["modifiedTime"] for key, row in rows.items()} == {
        key: truth[key] for key in rows
    }
    events = list(warehouse.list_rows(tables.WEBHOOK_EVENTS.name))
    assert sorted((row["ticket_id"], row["modifiedTime"]) for row in events) == sorted(
        (each.ticket_id, each.modified_time) for each in [*changed[2:], *again]
    )


def test_hints_are_fetched_from_the_simulator(
    sender: Sender, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    simulator.send_webhooks(url=f"{sender.url}/webhooks/rest", secret=SECRET, tries=5, hint=True)
    changed = simulator.change(8)
    simulator.webhook_status()

    rows = {row["ticket_id"]: row for row in warehouse.list_rows(tables.TICKETS.name)}
    assert {key: row["modifiedTime"] for key, row in rows.items()} == {
        each.ticket_id: each.modified_time for each in changed
    }
