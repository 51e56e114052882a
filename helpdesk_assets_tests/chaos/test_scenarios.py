"""The promises hold in every story of the short profile. `make chaos` tells the long one."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.scenario_runner import run_short_profile


@pytest.mark.warehouse
@pytest.mark.timeout(600)
@pytest.mark.slow
def test_scenarios_keep_all_promises(environment: Environment) -> None:
    """The same stories each time, so that a change is to blame where one fails."""
    run_short_profile(environment)
    assert environment.counts["settled"] > 0
    assert environment.counts["syncs"] > environment.counts["stories"]
