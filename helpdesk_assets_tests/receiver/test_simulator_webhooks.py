"""The simulated helpdesk posts to a receiver, and every delivered change is appended."""

from __future__ import annotations

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.webhook_events import EventKind
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import stored_events
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender


def test_delivered_changes_are_appended_at_least_once(
    sender: Sender, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    url = f"{sender.url}/webhooks/rest"
    simulator.send_webhooks(url=url, secret=SECRET, tries=5, lose=2, hold=3, double=2)
    changed = simulator.change(10, spread_seconds=20)
    again = simulator.change(ids=[changed[3].ticket_id], spread_seconds=2)
    simulator.webhook_status()
    assert simulator.release_webhooks(newest_first=True) == 3
    seen = simulator.webhook_status()

    assert seen.answers == {"200": 5 + 3 + 2 + 1}
    stored = stored_events(warehouse)
    assert {(each.ticket_id, each.modified_time) for each in stored} == {
        (each.ticket_id, each.modified_time) for each in [*changed[2:], *again]
    }
    assert all(each.ticket is not None for each in stored)
    assert len(stored) == sum(seen.answers.values())
    # Nothing but the drain writes tickets.
    assert warehouse.get_table(tables.TICKETS.name, fresh=True) is None


def test_hints_are_answered_by_a_helpdesk_that_is_down(
    sender: Sender, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    simulator.send_webhooks(url=f"{sender.url}/webhooks/rest", secret=SECRET, tries=5, hint=True)
    simulator.fault("error_500", on="ticket", status=500)
    changed = simulator.change(8)
    assert simulator.webhook_status().answers == {"200": 8}

    stored = stored_events(warehouse)
    assert {each.ticket_id for each in stored} == {each.ticket_id for each in changed}
    assert {(each.kind, each.ticket) for each in stored} == {(EventKind.HINT, None)}
