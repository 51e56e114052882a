"""JSON in and out without a digit lost or a character that cannot be stored.

Python turns 0.1234567890123456789 into another number and writes half a surrogate pair that no
UTF-8 can hold; BigQuery refuses both, after the whole batch was fetched. So what cannot be kept
exactly is kept as text from the start. Must not know tickets.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

# BigQuery's JSON holds whole numbers from int64 to uint64 exactly, and no others.
SMALLEST, LARGEST = -(2**63), 2**64 - 1
MOST_DIGITS = 20
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(body: bytes) -> Any:
    """A JSON text as Python values; numbers that would change come back as their text.

    Raises:
        ValueError: it is no JSON (NaN and Infinity are none), no UTF-8, or nested too deep.
    """
    try:
        return _DECODER.decode(body.decode("utf-8-sig", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def compose(value: Any) -> str:
    """Compact JSON text with sorted keys, so that equal objects have equal texts."""
    return _ENCODER.encode(value)


def storable(value: Any) -> tuple[Any, str, str]:
    """The value, its JSON text and the digest of that, with U+FFFD for every half of a surrogate
    pair. The digest is one of the content, whatever order the keys came in."""
    text = compose(value)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        text = storable_text(text)
        body = text.encode()
        value = parse(body)
    return value, text, hashlib.blake2b(body, digest_size=16).hexdigest()


def storable_text(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair."""
    return text if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)


def _whole_number(text: str) -> int | str:
    # The length first: Python refuses to convert thousands of digits, and is slow below that.
    if len(text) > MOST_DIGITS:
        return text
    number = int(text)
    return number if SMALLEST <= number <= LARGEST else text


def _fraction(text: str) -> float | str:
    number = float(text)
    again = repr(number)
    if again == text:
        return number
    try:
        return number if Decimal(again) == Decimal(text) else text
    except InvalidOperation:
        # An exponent that not even Decimal can hold.
        return text


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    parse_int=_whole_number, parse_float=_fraction, parse_constant=_no_number
)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True
)
