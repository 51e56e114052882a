"""One stage for all stories of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets_tests.chaos.environment import Stage, open_stage


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("chaos")) as opened:
        yield opened
