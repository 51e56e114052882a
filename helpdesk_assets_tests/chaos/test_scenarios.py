"""The promises hold in every story of the short profile. `make chaos` tells the long one."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.chaos.environment import Stage
from helpdesk_assets_tests.chaos.scenario_runner import tell_short


@pytest.mark.warehouse
@pytest.mark.timeout(600)
def test_no_story_ends_badly(stage: Stage) -> None:
    """The same stories each time, so that a change is to blame where one fails."""
    tell_short(stage)
    assert stage.counts["settled"] > 0
    assert stage.counts["syncs"] > stage.counts["stories"]
