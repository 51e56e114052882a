from __future__ import annotations

import pytest

from helpdesk_assets.local.simulator.seeded_random import Dice


def test_equal_labels_draw_alike_and_others_do_not() -> None:
    drawn = [[dice.below(1000) for _ in range(200)] for dice in (Dice(1, "a"), Dice(1, "a"))]
    assert drawn[0] == drawn[1]
    assert drawn[0] != [Dice(1, "b").below(1000) for _ in range(200)]


def test_draws_are_known_numbers() -> None:
    # A Python, or an edit, that draws otherwise would make every seed mean other tickets.
    dice = Dice(7, "known")
    assert [dice.below(1000) for _ in range(5)] == [12, 979, 41, 641, 180]


def test_draws_stay_in_range_and_reach_it_all() -> None:
    dice = Dice("range")
    assert {dice.below(6) for _ in range(500)} == set(range(6))


@pytest.mark.parametrize(("population", "count"), [(10, 3), (10, 10), (10, 99), (0, 5), (5, 0)])
def test_a_sample_is_distinct_and_no_larger_than_there_are(population: int, count: int) -> None:
    sample = Dice("sample").sample(population, count)
    assert len(sample) == len(set(sample)) == min(population, count)
    assert set(sample) <= set(range(population))
