"""JSON in and out without a digit lost or a character that cannot be stored.

Python turns 0.1234567890123456789 into another number and writes half a surrogate pair that no
UTF-8 can hold; BigQuery refuses both, after the whole batch was fetched. So what cannot be kept
exactly is kept as text from the start. Where a helpdesk writes what is almost JSON, one ticket of
it must not make a page unreadable, and with it all that comes after. Must not know tickets.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

# BigQuery's JSON holds whole numbers from int64 to uint64 exactly, and no others.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
MAX_DIGITS = 20
# More than can be stored, so that a ticket which was cut here is still refused, and few enough for
# Python's own recursion.
MAX_PARSED_DEPTH = 300
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Hears of each number that is kept as text.
OnNumberKeptAsText = Callable[[], None]


def _ignore() -> None:
    pass


def parse(body: bytes, number_kept_as_text: OnNumberKeptAsText = _ignore) -> Any:
    """A JSON text as Python values; fractions that would change come back as their text, and whole
    numbers exactly. NaN and Infinity, which are no JSON, come as their text too, and control
    characters may stand in a text unescaped. What is nested deeper than can ever be stored comes
    without its depths: still too deep for `storable`.

    Raises:
        ValueError: it is no JSON, no UTF-8, or open brackets without end.
    """
    try:
        # msgspec hands over each fraction as it was written, and takes half the time of json.
        return msgspec.json.Decoder(float_hook=_ExactNumbers(number_kept_as_text).fraction).decode(
            body
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        pass  # half a surrogate pair, a byte order mark; or what the other refuses as well
    try:
        text = body.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    try:
        return _parse_exact(text, number_kept_as_text)
    except RecursionError:
        return _parse_exact(replace_deep_values(text, MAX_PARSED_DEPTH), number_kept_as_text)


def compose(value: Any) -> str:
    """Compact JSON text with sorted keys, so that equal objects have equal texts."""
    return storable(value)[1]


def storable(value: Any, number_kept_as_text: OnNumberKeptAsText = _ignore) -> tuple[Any, str, str]:
    """The value, its JSON text and the digest of that, with U+FFFD for every half of a surrogate
    pair, and text for every whole number that BigQuery cannot hold. The digest is one of the
    content, whatever order the keys came in.

    Raises:
        RecursionError: it is nested deeper than 254 levels.
    """
    try:
        body = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        value = _parse_exact(
            storable_text(json.dumps(value, ensure_ascii=False)), number_kept_as_text
        )
        body = _dump_or_too_deep(value)
    return value, body.decode(), _digest(body)


def _dump_or_too_deep(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise RecursionError(str(error)) from None


def _digest(body: bytes) -> str:
    # Half of SHA-256: 128 bits are plenty, and processors have instructions for this one.
    return hashlib.sha256(body).hexdigest()[:32]


def storable_text(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair."""
    return text if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)


def _parse_exact(text: str, number_kept_as_text: OnNumberKeptAsText) -> Any:
    numbers = _ExactNumbers(number_kept_as_text)
    return json.JSONDecoder(
        parse_int=numbers.integer,
        parse_float=numbers.fraction,
        parse_constant=numbers.not_a_number,
        strict=False,
    ).decode(text)


class _ExactNumbers:
    """Reads numbers as they are written, as text where a number would be another one."""

    __slots__ = ("_number_kept_as_text",)

    def __init__(self, number_kept_as_text: OnNumberKeptAsText) -> None:
        self._number_kept_as_text = number_kept_as_text

    def integer(self, text: str) -> int | str:
        # The length first: Python refuses to convert thousands of digits, and is slow below that.
        if len(text) <= MAX_DIGITS:
            number = int(text)
            if MIN_INTEGER <= number <= MAX_INTEGER:
                return number
        self._number_kept_as_text()
        return text

    def fraction(self, text: str) -> float | str:
        number = float(text)
        again = repr(number)
        if again == text or _is_same_number(again, text):
            return number
        self._number_kept_as_text()
        return text

    def not_a_number(self, text: str) -> str:
        self._number_kept_as_text()
        return text


def _is_same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        # An exponent that not even Decimal can hold.
        return False


# A text whole, since brackets in it are none; unrolled, for one that has a million characters.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def replace_deep_values(text: str, levels: int) -> str:
    """The text with `null` for each array and object that has `levels` others around it.

    Raises:
        ValueError: one of them never ends.
    """
    parts, kept_from, depth = list[str](), 0, 0
    for found in _STRING_OR_BRACKET.finditer(text):
        mark = text[found.start()]
        if mark in "[{":
            depth += 1
            if depth == levels + 1:
                parts += [text[kept_from : found.start()], "null"]
        elif mark in "]}":
            if depth == levels + 1:
                kept_from = found.end()
            depth -= 1
    if depth > levels:
        raise ValueError("nested too deep")
    return "".join((*parts, text[kept_from:]))
