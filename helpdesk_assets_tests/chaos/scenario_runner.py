"""Telling stories: how many, how long, and what is done about one that ends badly."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from helpdesk_assets_tests.chaos import guards
from helpdesk_assets_tests.chaos.environment import Stage
from helpdesk_assets_tests.chaos.state_machine import TROUBLES, on_stage

STEPS = 8
SHORT = 32
JUST_FIND = (Phase.generate,)
FIND_AND_SHORTEN = (Phase.generate, Phase.shrink)


def tell(stage: Stage, stories: int) -> None:
    """Any stories, made up anew.

    Raises:
        AssertionError: a story ended badly; the shortest such, step by step, is in its notes.
    """
    run_state_machine_as_test(on_stage(stage), settings=_profile(stories, derandomize=False))


def tell_short(stage: Stage, phases: Collection[Phase] = FIND_AND_SHORTEN) -> None:
    """The short profile: the same stories each time, and as many of them with one trouble as with
    another. Left to chance, the one trouble that a guard stands against would be in none of them
    in every thirtieth profile.

    Raises:
        AssertionError: as `tell`.
    """
    how = _profile(SHORT // len(TROUBLES), derandomize=True, phases=phases)
    for trouble in TROUBLES:
        run_state_machine_as_test(on_stage(stage, (trouble,)), settings=how)


def tell_short_without(stage: Stage, guard: str) -> None:
    """The same with a guard turned off, in the processes that are started as well; what is found is
    not shortened."""
    blind = Stage(stage.warehouse, stage.proxy, stage.forks, stage.counts, (guard,))
    with guards.without(guard):
        tell_short(blind, JUST_FIND)


def _profile(
    stories: int, *, derandomize: bool, phases: Collection[Phase] = FIND_AND_SHORTEN
) -> settings:
    return settings(
        max_examples=stories,
        stateful_step_count=STEPS,
        derandomize=derandomize,
        phases=phases,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
