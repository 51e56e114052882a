"""Telling stories: how many, how long, and what is done about one that ends badly."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from helpdesk_assets import embedded
from helpdesk_assets_tests.chaos import guards
from helpdesk_assets_tests.chaos.machine import Chaos
from helpdesk_assets_tests.chaos.stage import Stage

STEPS = 8
# Whether the stand-in of this Python is the one that remembers; with the other one a story takes
# six times as long, and it tells a few of them only.
IS_QUICK = embedded.installed().module == "bqemulator"
SHORT = 40 if IS_QUICK else 8
JUST_FIND = (Phase.generate,)
FIND_AND_SHORTEN = (Phase.generate, Phase.shrink)


def profile(
    stories: int, *, derandomize: bool, phases: Collection[Phase] = FIND_AND_SHORTEN
) -> settings:
    """`derandomize`: the same stories each time."""
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


def tell(stage: Stage, how: settings) -> None:
    """
    Raises:
        AssertionError: a story ended badly; the shortest such, step by step, is in its notes.
    """
    machine = type("Chaos", (Chaos,), {"stage": stage})
    run_state_machine_as_test(machine, settings=how)


def tell_without(stage: Stage, guard: str, how: settings) -> None:
    """The same with a guard turned off, in the processes that are started as well."""
    blind = Stage(stage.warehouse, stage.proxy, stage.forks, stage.counts, (guard,))
    with guards.without(guard):
        tell(blind, how)
