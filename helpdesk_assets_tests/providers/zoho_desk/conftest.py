"""An adapter per test, closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from helpdesk_assets.providers.zoho_desk.adapter import ZohoDeskAdapter
from helpdesk_assets_tests.providers.zoho_desk.canned import Connect, connect_to


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[ZohoDeskAdapter] = []

    def make(url: str, **more: Any) -> ZohoDeskAdapter:
        made.append(connect_to(url, **more))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()
