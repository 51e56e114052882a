"""The promises hold in every scenario of the short profile. `make chaos` runs the long one."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.scenario_runner import run_short_profile


@pytest.mark.warehouse
@pytest.mark.timeout(600)
@pytest.mark.slow
def test_scenarios_keep_all_promises(environment: Environment) -> None:
    """The scenarios are the same each time, so a failure is caused by a change of code."""
    run_short_profile(environment)
    assert environment.counts["settled"] > 0
    assert environment.counts["syncs"] > environment.counts["stories"]
