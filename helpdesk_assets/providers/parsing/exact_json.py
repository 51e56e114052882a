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
SMALLEST, LARGEST = -(2**63), 2**64 - 1
MOST_DIGITS = 20
# More than can be stored, so that a ticket which was cut here is still refused, and few enough for
# Python's own recursion.
READABLE_LEVELS = 300
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Hears of each number that is kept as text.
Kept = Callable[[], None]


def _nobody() -> None:
    pass


def parse(body: bytes, kept: Kept = _nobody) -> Any:
    """A JSON text as Python values; fractions that would change come back as their text, and whole
    numbers exactly. NaN and Infinity, which are no JSON, come as their text too, and control
    characters may stand in a text unescaped. What is nested deeper than can ever be stored comes
    without its depths: still too deep for `storable`.

    Raises:
        ValueError: it is no JSON, no UTF-8, or open brackets without end.
    """
    try:
        # msgspec hands over each fraction as it was written, and takes half the time of json.
        return msgspec.json.Decoder(float_hook=_Numbers(kept).fraction).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        pass  # half a surrogate pair, a byte order mark; or what the other refuses as well
    try:
        text = body.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    try:
        return _exact(text, kept)
    except RecursionError:
        return _exact(cut_below(text, READABLE_LEVELS), kept)


def compose(value: Any) -> str:
    """Compact JSON text with sorted keys, so that equal objects have equal texts."""
    return storable(value)[1]


def storable(value: Any, kept: Kept = _nobody) -> tuple[Any, str, str]:
    """The value, its JSON text and the digest of that, with U+FFFD for every half of a surrogate
    pair, and text for every whole number that BigQuery cannot hold. The digest is one of the
    content, whatever order the keys came in.

    Raises:
        RecursionError: it is nested deeper than 254 levels.
    """
    try:
        body = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        value = _exact(storable_text(json.dumps(value, ensure_ascii=False)), kept)
        body = _shallow(value)
    return value, body.decode(), _digest(body)


def _shallow(value: Any) -> bytes:
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


def _exact(text: str, kept: Kept) -> Any:
    numbers = _Numbers(kept)
    return json.JSONDecoder(
        parse_int=numbers.whole,
        parse_float=numbers.fraction,
        parse_constant=numbers.none,
        strict=False,
    ).decode(text)


class _Numbers:
    """Reads numbers as they are written, as text where a number would be another one."""

    __slots__ = ("_kept",)

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def whole(self, text: str) -> int | str:
        # The length first: Python refuses to convert thousands of digits, and is slow below that.
        if len(text) <= MOST_DIGITS:
            number = int(text)
            if SMALLEST <= number <= LARGEST:
                return number
        self._kept()
        return text

    def fraction(self, text: str) -> float | str:
        number = float(text)
        again = repr(number)
        if again == text or _same(again, text):
            return number
        self._kept()
        return text

    def none(self, text: str) -> str:
        self._kept()
        return text


def _same(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        # An exponent that not even Decimal can hold.
        return False


# A text whole, since brackets in it are none; unrolled, for one that has a million characters.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def cut_below(text: str, levels: int) -> str:
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
