"""Choices that depend on a label alone, never on what was drawn before or elsewhere.

`random.Random` per ticket would cost more in seeding than the whole ticket costs in writing, and a
shared generator would make tickets depend on the order they are served in.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class SeededRandom:
    """Draws from the digest of its label; equal labels draw equal rows of numbers."""

    __slots__ = ("_pool", "_state")

    def __init__(self, *label: str | int) -> None:
        self._refill("|".join(map(str, label)).encode())

    def _refill(self, material: bytes) -> None:
        self._state = blake2b(material).digest()
        self._pool = int.from_bytes(self._state, "big")

    def randbelow(self, end: int) -> int:
        """A number in [0, end)."""
        # 24 spare bits keep the draw even; with less entropy left, small numbers would win.
        if self._pool < end << 24:
            self._refill(self._state)
        self._pool, drawn = divmod(self._pool, end)
        return drawn

    def choice(self, pool: Sequence[T]) -> T:
        return pool[self.randbelow(len(pool))]

    def one_in(self, end: int) -> bool:
        return self.randbelow(end) == 0

    def sample(self, population: int, count: int) -> list[int]:
        """`count` distinct numbers in [0, population), or all of them where there are fewer."""
        swapped: dict[int, int] = {}
        drawn = []
        # Fisher-Yates over a range that is never laid out: only the moved places are kept.
        for last in range(population - 1, max(population - count, 0) - 1, -1):
            position = self.randbelow(last + 1)
            drawn.append(swapped.get(position, position))
            swapped[position] = swapped.get(last, last)
        return drawn
