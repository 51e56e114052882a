"""The quick rule that spares most numbers the printer's own arithmetic."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

from helpdesk_assets.providers.parsing import printed_doubles

CASES = 20_000
RNG = random.Random(5)
KINDS: dict[str, Callable[[], float]] = {
    "six decimals": lambda: round(RNG.random(), 6),
    "degrees": lambda: round(RNG.uniform(-180, 180), 7),
    "few digits": lambda: round(RNG.uniform(-1e9, 1e9), RNG.randint(0, 5)),
    "whole double": RNG.random,
    "any size": lambda: RNG.random() * 10.0 ** RNG.randint(-20, 20),
    "power of two": lambda: 2.0 ** RNG.randint(-60, 60),
    "whole number": lambda: float(RNG.randint(-(10**14), 10**14)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sure_number_is_printed_as_python_does(kind: str) -> None:
    numbers = [KINDS[kind]() for _ in range(CASES)]
    sure = [each for each in numbers if printed_doubles._is_surely_found(repr(each), each)]
    for number in sure:
        assert printed_doubles._printed(number) == Decimal(repr(number))
    if kind in {"six decimals", "degrees", "few digits"}:
        assert len(sure) > 0.95 * CASES


def test_number_at_the_edge_is_not_sure() -> None:
    for number in (0.915908, 67.174118):
        assert not printed_doubles._is_surely_found(repr(number), number)
        assert isinstance(printed_doubles.as_printed(number), printed_doubles.PrintedDouble)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zero_is_sure(zero: float) -> None:
    assert printed_doubles._is_surely_found(repr(zero), zero)
