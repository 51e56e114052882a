"""`tickets_live` shows what tickets is after the drain, for events that bring their ticket."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import orjson

from helpdesk_assets.model.webhook_events import EventKind
from helpdesk_assets.operations.drain import DrainPolicy, drain
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import live_view
from helpdesk_assets_tests.backends import BigQueryBackend
from helpdesk_assets_tests.contract.subject import event
from helpdesk_assets_tests.harness import spooled_events
from helpdesk_assets_tests.operations.paper_desk import PaperDesk, version
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

STAMPS = ("_synced_at", "_first_synced_at", "_synced_by", "_run_id")


def rows(warehouse: BigQueryClient, name: str) -> dict[str, dict[str, Any]]:
    """Return the rows by ticket, without what tells of the write."""
    sql = f"SELECT * FROM {warehouse.dataset.table(name)}"
    found = warehouse.run(Query(sql), run_id=uuid.uuid4().hex, step="read").rows
    return {
        row["ticket_id"]: {name: value for name, value in row.items() if name not in STAMPS}
        for row in found
    }


def test_view_has_the_columns_of_tickets() -> None:
    for json_as_text in (True, False):
        text = live_view.view_query(DATASET, json_as_text=json_as_text)
        shown = text[text.index("\nSELECT\n", text.index("compared AS (")) :]
        order = [shown.index(f"AS `{each.name}`") for each in tables.TICKETS.columns[1:]]
        assert order == sorted(order)


def test_view_equals_tickets_after_the_drain(
    warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    """Every order in which edits, a deletion and equal times can meet what is stored."""
    backend = BigQueryBackend(warehouse)
    came = datetime.now(UTC) - timedelta(minutes=1)
    told = tombstone("x", version("x", 20).modified_time, {})
    kinds = [
        version("x", 30),
        version("x", 20, body="tie"),
        version("x", 20, body="other"),
        version("x", 10, body="new"),
        version("x", 25, deleted_time=version("x", 22).modified_time, body="dead"),
        told,
    ]
    stored, waiting = [], []
    for number, orders in enumerate(permutations(kinds, 3)):
        first, *later = (_named(each, f"t{number}") for each in orders)
        stored.append(event(first, received_at=came, **_kind(first)))
        waiting += [
            event(each, received_at=came + timedelta(seconds=n), **_kind(each))
            for n, each in enumerate(later)
        ]
    with backend.connected(warehouse_settings) as sync_tables:
        for some in (stored, waiting):
            with spooled_events(*some) as spool:
                backend.append(tables.WEBHOOK_EVENTS, spool)
            sync_tables.prepare()
            live = rows(warehouse, live_view.NAME)
            drain(PaperDesk(), sync_tables, run_id="d", everything=False, policy=DrainPolicy())
            assert live == rows(warehouse, tables.TICKETS.name)


def _named(ticket: Any, ticket_id: str) -> Any:
    return replace(ticket, ticket_id=ticket_id)


def _kind(ticket: Any) -> dict[str, Any]:
    return {"kind": EventKind.DELETION, "ticket": None} if ticket.tombstone else {}


def test_view_survives_what_nobody_can_read(
    warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    """Somebody else may write into the table of events."""
    backend = BigQueryBackend(warehouse)
    came = datetime.now(UTC) - timedelta(minutes=1)
    texts = ['{"modified_time": "noon", "tombstone": false}', "{}", "[]", '"x"']
    good = event(version("good", 10), received_at=came)
    lines = [good.row()]
    for number, text in enumerate(texts):
        bad = event(version(f"bad{number}", 10), received_at=came)
        lines.append({**bad.row(), "ticket": text})
    with backend.connected(warehouse_settings) as sync_tables, Spool(1_000_000) as spool:
        for line in lines:
            spool.append(orjson.dumps(line, option=orjson.OPT_UTC_Z))
        backend.append(tables.WEBHOOK_EVENTS, spool)
        sync_tables.prepare()
        assert set(rows(warehouse, live_view.NAME)) == {"good"}
