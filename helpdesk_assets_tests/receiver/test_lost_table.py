"""The table tickets is dropped: the receiver makes no empty one, and the sync makes it again."""

from __future__ import annotations

import logging
import uuid
from contextlib import closing

import pytest

from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.receiver.conftest import Open
from helpdesk_assets_tests.receiver.webhook_posts import START, rest_event, text, whole_ticket


def _sync(settings: Settings) -> Mode:
    with connected(settings) as warehouse, closing(make_helpdesk(settings)) as helpdesk:
        policy, run_id = SyncPolicy.from_settings(settings), uuid.uuid4().hex
        return run_sync(helpdesk, warehouse, SyncRequest(), policy, run_id=run_id).manifest.mode


def _ids(warehouse: BigQueryClient) -> set[str]:
    return {row["ticket_id"] for row in warehouse.list_rows(tables.TICKETS.name)}


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "started_later"])
def test_receiver_leaves_a_lost_table_to_the_sync(
    open_receiver: Open,
    settings: Settings,
    warehouse: BigQueryClient,
    caplog: pytest.LogCaptureFixture,
    is_running: bool,
) -> None:
    whole = rest_event(whole_ticket(901), "whole")
    gone = rest_event(whole_ticket(902), "gone", type="ticket.deleted", modifiedTime=text(START))
    _sync(settings)
    held = _ids(warehouse)
    with open_receiver() as sender, caplog.at_level(logging.WARNING):
        if is_running:
            assert sender.send(rest_event(whole_ticket(900), "before")).status_code == 200
        warehouse.drop_table(tables.TICKETS.name)
        answers = [sender.send(event).status_code for event in (whole, gone, whole)]
        assert answers == [503] * 3
        assert warehouse.get_table(tables.TICKETS.name, fresh=True) is None
        told = [line for line in caplog.messages if "cannot be written" in line]
        assert len(told) == 1
        assert "helpdesk-assets sync" in told[0] or is_running
        assert _sync(settings) is Mode.FULL
        assert _ids(warehouse) == held
        assert [sender.send(event).status_code for event in (whole, gone)] == [200, 200]
    assert _ids(warehouse) == {*held, "901"}
