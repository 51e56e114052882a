from __future__ import annotations

import pytest

from helpdesk_assets.local.simulator.seeded_random import SeededRandom


def test_equal_labels_draw_equal_values() -> None:
    drawn = [
        [rng.randbelow(1000) for _ in range(200)]
        for rng in (SeededRandom(1, "a"), SeededRandom(1, "a"))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != [SeededRandom(1, "b").randbelow(1000) for _ in range(200)]


def test_draws_are_reproducible() -> None:
    # Other draws, by another Python or an edit, would change the tickets of every seed.
    rng = SeededRandom(7, "known")
    assert [rng.randbelow(1000) for _ in range(5)] == [12, 979, 41, 641, 180]


def test_draws_cover_their_range() -> None:
    rng = SeededRandom("range")
    assert {rng.randbelow(6) for _ in range(500)} == set(range(6))


@pytest.mark.parametrize(("population", "count"), [(10, 3), (10, 10), (10, 99), (0, 5), (5, 0)])
def test_sample_is_distinct_and_bounded(population: int, count: int) -> None:
    sample = SeededRandom("sample").sample(population, count)
    assert len(sample) == len(set(sample)) == min(population, count)
    assert set(sample) <= set(range(population))
