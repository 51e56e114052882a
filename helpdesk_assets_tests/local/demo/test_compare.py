"""The comparison finds differences; otherwise the demo's "none" would mean nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets.local.demo.compare import COLUMNS, Comparison, compare
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.webhook_function import deliver

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def truth(*ids: str) -> list[TrueTicket]:
    return [TrueTicket(each, NOON, NOON, {"id": each, "n": [1, None, 2.5]}) for each in ids]


def row(ticket_id: str, **changes: Any) -> dict[str, Any]:
    content = {"n": [1, None, 2.5], "id": ticket_id}
    return {"ticket_id": ticket_id, "modifiedTime": NOON, "raw_json": content} | changes


def test_order_and_spelling_do_not_matter() -> None:
    text = json.dumps({"id": "2", "n": [1, None, 2.5]})

    found = compare(truth("1", "2"), [row("2", raw_json=text), row("1")])

    assert found.is_equal
    assert (found.tickets, found.rows) == (2, 2)


def test_each_kind_of_difference() -> None:
    rows = [
        row("1"),
        row("1"),
        row("2", modifiedTime=NOON + timedelta(seconds=1)),
        row("3", raw_json={"id": "3", "n": [1, None, 2.51]}),
        row("9"),
    ]

    found = compare(truth("1", "2", "3", "4"), rows)

    assert found.differences == {
        "not in the table": ["4"],
        "not in the helpdesk": ["9"],
        "more than once in the table": ["1"],
        "different modified time": ["2"],
        "different content": ["3"],
    }
    assert not found.is_equal


def test_empty_table_differs_from_a_helpdesk() -> None:
    assert not compare(truth("1"), []).is_equal
    assert Comparison().is_equal


def test_tampered_table_differs(warehouse: BigQueryClient, warehouse_settings: Settings) -> None:
    with SimulatedHelpdesk(tickets=12) as simulator:
        settings = warehouse_settings.model_copy(
            update={
                "helpdesk_base_url": simulator.base_url,
                "helpdesk_api_token": type(warehouse_settings.helpdesk_api_token)(simulator.token),
            }
        )
        ids = [each.ticket_id for each in simulator.truth()]
        helpdesk = make_helpdesk(settings)
        deliver(helpdesk, warehouse, ids, run_id="webhook")
        helpdesk.close()

        def compared() -> Comparison:
            rows = warehouse.list_rows(tables.TICKETS.name, COLUMNS)
            return compare(simulator.truth(raw_ticket=True), rows)

        assert compared().is_equal
        _change(warehouse, "modifiedTime = TIMESTAMP '2020-01-01 00:00:00+00'", ids[3])
        _change(warehouse, "raw_json = PARSE_JSON('{}')", ids[7])

        assert compared().differences == {
            "different modified time": [ids[3]],
            "different content": [ids[7]],
        }


def _change(warehouse: BigQueryClient, assignment: str, ticket_id: str) -> None:
    table = warehouse.dataset.table(tables.TICKETS.name)
    sql = f"UPDATE {table} SET {assignment} WHERE ticket_id = @id"
    query = Query(sql, (Parameter("id", ColumnType.STRING, ticket_id),))
    warehouse.run(query, run_id="doctored", step="doctored")
