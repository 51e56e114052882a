"""Writes a double as BigQuery prints it.

Where BigQuery reads JSON strictly, it prints each fraction again and refuses the whole input if the
result is another decimal than was written. Its printer (Grisu2) does not always find the shortest
decimal: 67.174118 comes out as 67.17411800000001, so the former is refused and the latter, which is
the same double, is taken. PARSE_JSON has a mode without that rule; whether a load job has the rule
is not documented. Such numbers, about one in 600, are therefore written as they would be printed.

The algorithm is Florian Loitsch's, "Printing Floating-Point Numbers Quickly and Accurately with
Integers" (2010), with the constants of the library nlohmann/json.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from functools import cache, lru_cache

_FRACTION_BITS, _EXPONENT_BIAS = 52, 1075
_HIDDEN_BIT = 1 << _FRACTION_BITS
# Powers of ten are known in steps; a product has an exponent of base 2 from -60 to -32.
_FIRST_POWER, _POWER_STEP, _LEAST_EXPONENT = -300, 8, -60
# log10(2), as the library rounds it.
_LOG_NUMERATOR, _LOG_SHIFT = 78913, 18
_RECENT = 1 << 14
# 15 digits, a point, and a sign or a leading zero.
_SURE_CHARS = 16

# A significand of 64 bits and an exponent of base 2.
_Scaled = tuple[int, int]


class PrintedDouble(float):
    """A double that BigQuery prints with other digits than Python."""

    @property
    def text(self) -> str:
        """The number as BigQuery prints it, for JSON."""
        printed = _printed(float(self))
        # Without a point it would be read as a whole number.
        return str(printed) if printed.as_tuple().exponent else f"{printed:E}"


def as_printed(number: float) -> float:
    """Return a finite number, as a `PrintedDouble` if BigQuery prints it otherwise."""
    return PrintedDouble(number) if _differs(number) else number


@lru_cache(_RECENT)
def _differs(number: float) -> bool:
    text = repr(number)
    return not _is_surely_found(text, number) and _printed(number) != Decimal(text)


def _is_surely_found(text: str, number: float) -> bool:
    """Return whether the printer certainly finds the shortest decimal `text` of the number.

    With 15 digits or fewer, only one decimal of that length lies among what rounds to the number,
    and none shorter. The printer misses it only if it lies at the very edge: scaled to 64 bits,
    half the width is more than 500 units, and the products are wrong by fewer than 5. Exact, and a
    quarter of the printer's time.
    """
    if len(text) > _SURE_CHARS or "e" in text or number == 0:
        return number == 0
    numerator, denominator = number.as_integer_ratio()
    size = abs(numerator)
    if size & (size - 1) == 0:  # a power of two, of which the edge below is nearer
        return False
    whole, _, decimals = text.partition(".")
    power: int = 10 ** len(decimals)
    distance = abs(int(whole + decimals) * denominator - numerator * power)
    # In parts of half a unit of the last of 53 bits.
    shift = _FRACTION_BITS + 2 - size.bit_length()
    return 100 * (distance << shift) <= 98 * power


def _printed(number: float) -> Decimal:
    digits, exponent = _shortened(abs(number))
    return Decimal(f"{'-' if number < 0 else ''}{digits}E{exponent}")


def _shortened(number: float) -> tuple[int, int]:
    """Return digits and a decimal exponent that lie between the number's neighbours."""
    low, middle, high = _boundaries(number)
    power, exponent = _power_for(high[1])
    scaled_low, scaled, scaled_high = (_times(each, power) for each in (low, middle, high))
    # One unit inward, since each product may be wrong by one.
    return _digits(scaled_low[0] + 1, scaled[0], scaled_high[0] - 1, -scaled_high[1], exponent)


def _boundaries(number: float) -> tuple[_Scaled, _Scaled, _Scaled]:
    """Return the number and the limits of what rounds to it, all with 64 significant bits."""
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    fraction, biased = bits % _HIDDEN_BIT, bits >> _FRACTION_BITS
    significand = fraction + _HIDDEN_BIT if biased else fraction
    exponent = (biased or 1) - _EXPONENT_BIAS
    high = _normalised(2 * significand + 1, exponent - 1)
    if fraction == 0 and biased > 1:  # the neighbour below is half as far away
        low = 4 * significand - 1, exponent - 2
    else:
        low = 2 * significand - 1, exponent - 1
    aligned_low = low[0] << (low[1] - high[1]), high[1]
    return aligned_low, _normalised(significand, exponent), high


def _normalised(significand: int, exponent: int) -> _Scaled:
    shift = 64 - significand.bit_length()
    return significand << shift, exponent - shift


def _times(one: _Scaled, other: _Scaled) -> _Scaled:
    return (one[0] * other[0] + (1 << 63)) >> 64, one[1] + other[1] + 64


def _power_for(exponent: int) -> tuple[_Scaled, int]:
    """Return the power of ten that scales into range, and the exponent that undoes it."""
    wanted = _LEAST_EXPONENT - exponent - 1
    estimate = abs(wanted) * _LOG_NUMERATOR >> _LOG_SHIFT
    decimal = estimate + 1 if wanted > 0 else -estimate
    steps = (decimal - _FIRST_POWER + _POWER_STEP - 1) // _POWER_STEP
    decimal = _FIRST_POWER + steps * _POWER_STEP
    return _power_of_ten(decimal), -decimal


@cache
def _power_of_ten(exponent: int) -> _Scaled:
    """Return the power, rounded to 64 significant bits."""
    if exponent >= 0:
        value, scale = 10**exponent << 64, -64
    else:
        divisor = 10**-exponent
        scale = -(128 + divisor.bit_length())
        value = (1 << -scale) // divisor
    extra = value.bit_length() - 64
    rounded = (value + (1 << (extra - 1))) >> extra
    return rounded, scale + extra


def _digits(low: int, number: int, high: int, fraction_bits: int, exponent: int) -> tuple[int, int]:
    """Return the fewest leading digits of `high` that are above `low`, moved towards `number`."""
    one = 1 << fraction_bits
    digits, rest = divmod(high, one)
    delta, distance = high - low, high - number
    for dropped in range(len(str(digits)) - 1, -1, -1):
        unit = 10**dropped
        kept, remainder = divmod(digits, unit)
        below = (remainder << fraction_bits) + rest
        if below <= delta:
            kept = _towards(kept, distance, delta, below, unit << fraction_bits)
            return kept, exponent + dropped
    while True:
        next_digit, rest = divmod(rest * 10, one)
        digits, exponent = digits * 10 + next_digit, exponent - 1
        delta, distance = delta * 10, distance * 10
        if rest <= delta:
            return _towards(digits, distance, delta, rest, one), exponent


def _towards(digits: int, distance: int, delta: int, rest: int, unit: int) -> int:
    """Lower the last digit while that brings the digits nearer to the number."""
    while (
        rest < distance
        and delta - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        digits, rest = digits - 1, rest + unit
    return digits
