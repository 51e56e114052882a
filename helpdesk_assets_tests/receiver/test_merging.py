"""A receiver that drains by itself brings its events into tickets."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.receiver.app import create_app
from helpdesk_assets.receiver.merging import merging
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores import writer_lease
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.leases import held_elsewhere
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import Sender, rest_event


def synced(settings: Settings) -> None:
    with connected(settings) as warehouse, closing(make_helpdesk(settings)) as helpdesk:
        policy = SyncPolicy.from_settings(settings)
        run_sync(helpdesk, warehouse, SyncRequest(), policy, run_id=uuid.uuid4().hex)


def subjects(warehouse: BigQueryClient) -> dict[str, Any]:
    rows = warehouse.list_rows(tables.TICKETS.name)
    return {row["ticket_id"]: row["subject"] for row in rows}


def test_receiver_merges_what_it_has_appended(
    settings: Settings, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    synced(settings)
    often = settings.model_copy(update={"webhook_drain_seconds": 1})
    (whole, named) = simulator.change(2, fields={"subject": "by webhook"})
    with served(create_app(often)) as url, closing(Sender(url)) as sender:
        assert whole.raw_ticket is not None
        assert sender.send(rest_event(whole.raw_ticket, "whole")).status_code == 200
        hint = {"id": "hint", "type": "ticket.updated", "ticketId": named.ticket_id}
        assert sender.send(hint).status_code == 200
        wait, tries = threading.Event(), 0
        while list(subjects(warehouse).values()).count("by webhook") < 2:
            tries += 1
            assert tries < 300, sender.health()
            wait.wait(0.1)


def test_merge_waits_for_no_other_writer(
    settings: Settings, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    synced(settings)
    (changed,) = simulator.change(1, fields={"subject": "by webhook"})
    with (
        served(create_app(settings)) as url,
        closing(Sender(url)) as sender,
        closing(make_helpdesk(settings)) as helpdesk,
        connected(settings) as other,
    ):
        assert changed.raw_ticket is not None
        assert sender.send(rest_event(changed.raw_ticket, "e")).status_code == 200
        with other.lease("sync", run_id="another"):
            assert merging(settings)(helpdesk) > 0
            assert subjects(warehouse)[changed.ticket_id] != "by webhook"
        assert merging(settings)(helpdesk) == 0
    assert subjects(warehouse)[changed.ticket_id] == "by webhook"


def test_merges_take_over_from_a_dead_writer(
    settings: Settings,
    simulator: SimulatedHelpdesk,
    warehouse: BigQueryClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though each of them asks once and waits for nobody."""
    synced(settings)
    (changed,) = simulator.change(1, fields={"subject": "by webhook"})
    monkeypatch.setattr(writer_lease, "LEASE_TTL", timedelta(microseconds=1))
    with (
        served(create_app(settings)) as url,
        closing(Sender(url)) as sender,
        closing(make_helpdesk(settings)) as helpdesk,
        connected(settings) as other,
        held_elsewhere(other, "dead"),
    ):
        assert changed.raw_ticket is not None
        assert sender.send(rest_event(changed.raw_ticket, "e")).status_code == 200
        merge = merging(settings)
        assert merge(helpdesk) > 0
        assert merge(helpdesk) == 0
    assert subjects(warehouse)[changed.ticket_id] == "by webhook"


def test_refused_credentials_are_told_to_the_receiver(
    settings: Settings, simulator: SimulatedHelpdesk
) -> None:
    """So that it reads them again."""
    synced(settings)
    (changed,) = simulator.change(1)
    refused = settings.model_copy(update={"helpdesk_api_token": settings.webhook_secrets})
    with served(create_app(settings)) as url, closing(Sender(url)) as sender:
        hint = {"id": "hint", "type": "ticket.updated", "ticketId": changed.ticket_id}
        assert sender.send(hint).status_code == 200
    with closing(make_helpdesk(refused)) as helpdesk, pytest.raises(CredentialsRefused):
        merging(refused)(helpdesk)
