"""Runs scenarios: how many, how long, and how failures are reported."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from helpdesk_assets_tests.chaos import guards
from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.state_machine import TROUBLES, machine_for

STEPS = 8
# By kind of trouble.
SHORT = 3
FIND_ONLY = (Phase.generate,)
FIND_AND_SHRINK = (Phase.generate, Phase.shrink)


def run_scenarios(environment: Environment, stories: int) -> None:
    """Run random scenarios.

    Raises:
        AssertionError: a scenario failed; its notes contain the shortest failing one, step by step.
    """
    run_state_machine_as_test(
        machine_for(environment), settings=_profile(stories, derandomize=False)
    )


def run_short_profile(
    environment: Environment,
    troubles: Sequence[str] = TROUBLES,
    phases: Collection[Phase] = FIND_AND_SHRINK,
) -> None:
    """Run the short profile: the same scenarios each time.

    Every kind of trouble gets an equal share of them. If chance decided, every thirtieth profile
    would lack the one trouble that some guard stands against.

    Raises:
        AssertionError: as in `run_scenarios`.
    """
    how = _profile(SHORT, derandomize=True, phases=phases)
    for trouble in troubles:
        run_state_machine_as_test(machine_for(environment, (trouble,)), settings=how)


def run_short_profile_without(environment: Environment, guard: str) -> None:
    """Run the short profile with a guard turned off, also in started processes.

    The trouble that the guard stands against comes first. Failing scenarios are not shortened.
    """
    first = guards.GUARDS[guard].trouble
    troubles = (first, *(trouble for trouble in TROUBLES if trouble != first))
    blind = replace(environment, guards=(guard,))
    with guards.without(guard):
        run_short_profile(blind, troubles, FIND_ONLY)


def _profile(
    stories: int, *, derandomize: bool, phases: Collection[Phase] = FIND_AND_SHRINK
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
