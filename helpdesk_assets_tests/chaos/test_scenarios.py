"""The promises hold in every scenario of the short profile. `make chaos` runs the long one."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.scenario_runner import run_short_profile
from helpdesk_assets_tests.chaos.state_machine import TROUBLES


@pytest.mark.warehouse
@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_scenarios_keep_all_promises(environment: Environment, trouble: str) -> None:
    """The scenarios are the same each time, so a failure is caused by a change of code."""
    run_short_profile(environment, (trouble,))
    assert environment.counts["settled"] > 0
    assert environment.counts["syncs"] > environment.counts["stories"]
