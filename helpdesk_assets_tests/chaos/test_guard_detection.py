"""With any one guard turned off, the short profile finds a broken promise.

Only then does it prove something when it finds nothing with all guards on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.guards import GUARDS
from helpdesk_assets_tests.chaos.scenario_runner import run_short_profile_without

# What may be found first: which promise each guard stands under.
PROMISES = {
    "stale-write guard": "promise 2|promise 4|promise 1",
    "equal-time hash": "promise 1",
    "dedupe": "promise 3|at most one source row",
    "watermark after merge": "promise 4|promise 1",
    # What is behind such a watermark is not judged either.
    "own watermark instead of MAX": "promise 4|promise 1|promise 5",
    "missed before merge": "promise 5",
    "window end by the helpdesk's clock": "promise 4|promise 1|promise 5",
    "listing-cut guard": "promise 4|promise 1",
    "ground of the watermark": "promise 4|promise 1|promise 9",
    "versions behind": "promise 4|promise 1",
    "one account": "promise 9",
    "whole batch": "promise 4|promise 1",
    "revival": "promise 1",
    "later reading": "promise 1",
    "repeated rows": "promise 3|promise 9",
    "bound of a clock ahead": "promise 4",
    "one writer": "promise 3",
}


def test_each_guard_covers_a_promise() -> None:
    assert PROMISES.keys() == GUARDS.keys()


@pytest.mark.slow
@pytest.mark.warehouse
@pytest.mark.timeout(600)
@pytest.mark.parametrize("guard", GUARDS)
def test_disabled_guard_is_detected(environment: Environment, guard: str) -> None:
    with pytest.raises((AssertionError, ExceptionGroup)) as found:
        run_short_profile_without(environment, guard)
    assert re.search(PROMISES[guard], "\n".join(_said(found.value)))


def _said(error: BaseException) -> Iterator[str]:
    """Return the text of the failure.

    Also if Hypothesis repeats the scenario and it then passes: on a busy machine, times differ.
    """
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _said(each)
    else:
        yield str(error)
