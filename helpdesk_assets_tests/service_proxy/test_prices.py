"""A model of bills gets our queries back from what the API was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from helpdesk_assets.warehouse.bigquery.client import to_google
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.service_proxy.prices import LEAST_BYTES, as_price

PARAMETERS = (
    Parameter("ids", ColumnType.STRING, ("1", "2")),
    Parameter("nobody", ColumnType.STRING, ()),
    Parameter("since", ColumnType.TIMESTAMP, datetime(2026, 1, 1, 12, tzinfo=UTC)),
    Parameter("version", ColumnType.INT64, 7),
    Parameter("share", ColumnType.FLOAT64, 0.5),
    Parameter("forced", ColumnType.BOOL, True),
    Parameter("reason", ColumnType.STRING, None),
)


@dataclass(frozen=True, slots=True)
class Flat:
    high: float


def test_model_gets_the_query_as_it_was_made() -> None:
    asked: list[Query] = []

    def bill(query: Query) -> Flat:
        asked.append(query)
        return Flat(5e9)

    sent = [to_google(parameter).to_api_repr() for parameter in PARAMETERS]
    assert as_price(bill)("SELECT 1", sent) == 5_000_000_000
    assert asked == [Query("SELECT 1", PARAMETERS)]


def test_unknown_tables_bill_the_least_there_is() -> None:
    def bill(query: Query) -> Flat:
        raise KeyError(query.sql)

    assert as_price(bill)("SELECT 1", []) == LEAST_BYTES
    assert as_price(lambda _: Flat(1.0))("SELECT 1", []) == LEAST_BYTES
