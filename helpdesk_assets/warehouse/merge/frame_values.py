"""Converts one cell of a DataFrame to JSON for a column of a given type.

Each conversion keeps the value or raises `TypeError` or `ValueError` with the reason, to be
completed to a sentence. numpy's scalars are what they stand for.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from helpdesk_assets.providers.parsing import exact_json
from helpdesk_assets.providers.parsing.printed_doubles import as_printed
from helpdesk_assets.warehouse.table_spec import ColumnType

MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1
# A load job may read a larger whole number as another one, and takes it as text.
MAX_PLAIN_INTEGER = 2**53 - 1
_HINTS: dict[type, str] = {
    bytes: "decode it to text first",
    date: "give a time with a zone, or text",
    Decimal: "convert it to float or to text first",
}


def is_null(value: object) -> bool:
    """Return whether the cell is empty, by any of pandas' ways to say so."""
    import pandas as pd

    # pandas would answer for each element of what is nested.
    return not is_nested(value) and bool(pd.isna(value))  # type: ignore[call-overload]


def is_nested(value: object) -> bool:
    """Return whether the value becomes a JSON array or object."""
    return isinstance(value, dict | list | tuple) or getattr(value, "ndim", 0) > 0


def as_python(value: Any) -> Any:
    """Return what a scalar or an array of numpy or pandas stands for."""
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    if type(value).__module__ != "numpy":
        return value
    if type(value).__name__ == "datetime64":
        import pandas as pd

        return pd.Timestamp(value).to_pydatetime(warn=False)
    return value.tolist()


def to_cell(value: Any, kind: ColumnType) -> Any:
    """Return the value as JSON.

    Args:
        value: a value of the frame, not an empty one.
        kind: the column's type.

    Raises:
        TypeError: the value is of another kind.
        ValueError: the column cannot hold this value.
    """
    return _CONVERT[kind](as_python(value))


def _to_text(value: Any) -> str:
    if not isinstance(value, str):
        hint = next((text for kind, text in _HINTS.items() if isinstance(value, kind)), "")
        raise TypeError(f"{type(value).__name__} is not text" + (f": {hint}" if hint else ""))
    return exact_json.storable_text(value)


def _to_int(value: Any) -> int | str:
    number = int(_number(value))
    if number != value:
        raise ValueError("not a whole number")
    if not MIN_INT64 <= number <= MAX_INT64:
        raise ValueError("it does not fit 64 bits")
    return number if abs(number) <= MAX_PLAIN_INTEGER else str(number)


def _to_float(value: Any) -> float:
    number = float(_number(value))
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    exact = Decimal(repr(number)) if isinstance(value, Decimal) else number
    if exact != value:
        raise ValueError("a double cannot hold it exactly")
    return as_printed(number)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real | Decimal):
        raise TypeError(f"{type(value).__name__} is not a number")
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise ValueError("JSON has no such number")
    return value


def _to_bool(value: Any) -> bool:
    if not isinstance(value, bool | int | float) or value not in (True, False):
        raise ValueError("neither true nor false")
    return bool(value)


def _to_time(value: Any) -> str:
    if not isinstance(value, datetime):
        hint = f": {_HINTS[date]}" if isinstance(value, date) else ""
        raise TypeError(f"{type(value).__name__} is not a time{hint}")
    if value.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is outside of the years 1 to 9999") from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _to_json(value: Any) -> Any:
    """Parse text, since `read_frame` returns JSON columns as text."""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_to_plain)
    try:
        return exact_json.storable(exact_json.parse(value.encode("utf-8", "surrogatepass")))[0]
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _to_plain(value: Any) -> Any:
    plain = as_python(value)
    if plain is value or isinstance(plain, datetime):
        raise TypeError(f"JSON has no {type(value).__name__}")
    return plain


_CONVERT: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.STRING: _to_text,
    ColumnType.INT64: _to_int,
    ColumnType.FLOAT64: _to_float,
    ColumnType.BOOL: _to_bool,
    ColumnType.TIMESTAMP: _to_time,
    ColumnType.JSON: _to_json,
}
