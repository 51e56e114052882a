"""A model of what statements bill, as the proxy asks it: with parameters as the API has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from helpdesk_assets.warehouse.query import Parameter, Query, Scalar
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.service_proxy.engine import Price

# BigQuery bills at least as much for a statement.
LEAST_BYTES = 10 * 1024 * 1024


class Bill(Protocol):
    """A bill with an upper bound, at which clustering skips nothing."""

    @property
    def high(self) -> float: ...


def as_price(bill: Callable[[Query], Bill]) -> Price:
    """Return what the proxy asks, of a model that prices our queries.

    A statement on tables that the model does not know bills the least that BigQuery bills.

    Args:
        bill: the model; raises KeyError for a table that it does not know.
    """

    def price(sql: str, parameters: Sequence[Mapping[str, Any]]) -> int:
        query = Query(sql, tuple(map(_parameter, parameters)))
        try:
            return max(LEAST_BYTES, int(bill(query).high))
        except KeyError:
            return LEAST_BYTES

    return price


def _parameter(given: Mapping[str, Any]) -> Parameter:
    kind, value = given["parameterType"], given["parameterValue"]
    if kind["type"] == "ARRAY":
        type_ = ColumnType(kind["arrayType"]["type"])
        values = tuple(_value(type_, each.get("value")) for each in value.get("arrayValues", ()))
        return Parameter(given["name"], type_, values)
    type_ = ColumnType(kind["type"])
    return Parameter(given["name"], type_, _value(type_, value.get("value")))


def _value(kind: ColumnType, text: str | None) -> Scalar:
    if text is None:
        return None
    match kind:
        case ColumnType.TIMESTAMP:
            return datetime.fromisoformat(text)
        case ColumnType.INT64:
            return int(text)
        case ColumnType.FLOAT64:
            return float(text)
        case ColumnType.BOOL:
            return text == "true"
        case _:
            return text
