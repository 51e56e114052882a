"""One environment for all scenarios of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets_tests.chaos.environment import Environment, open_environment


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with open_environment(tmp_path_factory.mktemp("chaos")) as opened:
        yield opened
