"""Reads and writes JSON without losing a digit or producing a character that cannot be stored.

Python turns 0.1234567890123456789 into another number and writes lone surrogates that UTF-8 cannot
hold; BigQuery rejects both, after the whole batch was fetched. So values that cannot be kept
exactly are kept as text from the start, and what is kept as a number is the same double
everywhere. If a helpdesk sends almost-JSON, one such ticket must not
make its page, and all pages after it, unreadable. Must not know tickets.
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

from helpdesk_assets.providers.parsing.printed_doubles import PrintedDouble, as_printed

# BigQuery's JSON holds whole numbers from int64 to uint64 exactly, and no others.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
MAX_DIGITS = 20
# Deeper than can be stored, so a ticket that is cut here is still rejected, and shallow enough for
# Python's recursion limit.
MAX_PARSED_DEPTH = 300
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Called for each number that is kept as text.
OnNumberKeptAsText = Callable[[], None]


def _ignore() -> None:
    pass


def parse(body: bytes, number_kept_as_text: OnNumberKeptAsText = _ignore) -> Any:
    """Parse JSON text into Python values.

    Fractions that a float would change become text, as do NaN and Infinity, which are not JSON.
    Whole numbers stay exact. Unescaped control characters are allowed. If the nesting exceeds
    Python's recursion limit, values deeper than `MAX_PARSED_DEPTH` become null; the rest is still
    too deep for `storable`.

    Args:
        body: the text in UTF-8.
        number_kept_as_text: called for each number that becomes text.

    Raises:
        ValueError: the body is not JSON, is not UTF-8, or never closes its brackets.
    """
    try:
        # msgspec hands over each fraction as it was written, and takes half the time of json.
        return msgspec.json.Decoder(float_hook=_ExactNumbers(number_kept_as_text).fraction).decode(
            body
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        pass  # a lone surrogate or a byte order mark; the slower parser rejects what is not JSON
    try:
        text = body.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    try:
        return _parse_exact(text, number_kept_as_text)
    except RecursionError:
        return _parse_exact(replace_deep_values(text, MAX_PARSED_DEPTH), number_kept_as_text)


def compose(value: Any) -> str:
    """Write compact JSON with sorted keys, so that equal objects have equal texts."""
    return storable(value)[1]


def storable(value: Any, number_kept_as_text: OnNumberKeptAsText = _ignore) -> tuple[Any, str, str]:
    """Convert a value to what BigQuery can store.

    Lone surrogates become U+FFFD; whole numbers that BigQuery cannot hold become text.

    Args:
        value: a parsed JSON value.
        number_kept_as_text: called for each number that becomes text.

    Returns:
        The value, its JSON text with sorted keys, and the digest of that text, which does not
        depend on key order.

    Raises:
        RecursionError: the value is nested deeper than 254 levels.
    """
    try:
        body = dump(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        value = _parse_exact(
            storable_text(json.dumps(value, ensure_ascii=False)), number_kept_as_text
        )
        body = _dump_or_too_deep(value)
    return value, body.decode(), _digest(body)


def dump(value: Any, option: int | None = None) -> bytes:
    """Write compact JSON with each double as BigQuery prints it.

    Raises:
        TypeError: the value has a type that is not of JSON, or a number that does not fit.
    """
    return orjson.dumps(value, default=_fragment, option=option)


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, PrintedDouble):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _dump_or_too_deep(value: Any) -> bytes:
    try:
        return dump(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise RecursionError(str(error)) from None


def _digest(body: bytes) -> str:
    # Half of SHA-256: 128 bits suffice, and processors have instructions for it.
    return hashlib.sha256(body).hexdigest()[:32]


def storable_text(text: str) -> str:
    """Replace every lone surrogate by U+FFFD."""
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
    """Parses numbers, and keeps those as text whose value would change."""

    __slots__ = ("_number_kept_as_text",)

    def __init__(self, number_kept_as_text: OnNumberKeptAsText) -> None:
        self._number_kept_as_text = number_kept_as_text

    def integer(self, text: str) -> int | str:
        """Parse a whole number within BigQuery's range."""
        # The length first: Python rejects thousands of digits and is slow with hundreds.
        if len(text) <= MAX_DIGITS:
            number = int(text)
            if MIN_INTEGER <= number <= MAX_INTEGER:
                return number
        self._number_kept_as_text()
        return text

    def fraction(self, text: str) -> float | str:
        """Parse a fraction that a float holds exactly."""
        number = float(text)
        again = repr(number)
        if again == text or _is_same_number(again, text):
            return as_printed(number)
        self._number_kept_as_text()
        return text

    def not_a_number(self, text: str) -> str:
        """Keep NaN and Infinity as text."""
        self._number_kept_as_text()
        return text


def _is_same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        # An exponent that Decimal cannot hold.
        return False


# Matches a string as a whole, since its brackets do not nest; unrolled for strings of a million
# characters.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def replace_deep_values(text: str, levels: int) -> str:
    """Replace each array and object nested inside `levels` others by `null`.

    Raises:
        ValueError: a bracket is never closed.
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
