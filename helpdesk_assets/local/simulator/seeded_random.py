"""Random choices that depend only on a label, not on earlier draws.

Seeding a `random.Random` per ticket takes longer than writing the ticket. With a shared generator,
a ticket's content would depend on the order in which tickets are served.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class SeededRandom:
    """Random numbers from the digest of a label; equal labels give equal sequences."""

    __slots__ = ("_pool", "_state")

    def __init__(self, *label: str | int) -> None:
        self._refill("|".join(map(str, label)).encode())

    def _refill(self, material: bytes) -> None:
        self._state = blake2b(material).digest()
        self._pool = int.from_bytes(self._state, "big")

    def randbelow(self, end: int) -> int:
        """Return a number in [0, end)."""
        # 24 spare bits keep the draw uniform; with less entropy left, small numbers come too often.
        if self._pool < end << 24:
            self._refill(self._state)
        self._pool, drawn = divmod(self._pool, end)
        return drawn

    def choice(self, pool: Sequence[T]) -> T:
        """Return one element of `pool`."""
        return pool[self.randbelow(len(pool))]

    def one_in(self, end: int) -> bool:
        """Return True in one of `end` cases."""
        return self.randbelow(end) == 0

    def sample(self, population: int, count: int) -> list[int]:
        """Return `count` distinct numbers in [0, population), or all of them if there are fewer."""
        swapped: dict[int, int] = {}
        drawn = []
        # Fisher-Yates without building the range: only swapped positions are kept.
        for last in range(population - 1, max(population - count, 0) - 1, -1):
            position = self.randbelow(last + 1)
            drawn.append(swapped.get(position, position))
            swapped[position] = swapped.get(last, last)
        return drawn
