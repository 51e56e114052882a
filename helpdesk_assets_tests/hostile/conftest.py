"""`desk`: a helpdesk that answers with whatever bytes a test gives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets_tests.hostile.raw_helpdesk import RawDesk, raw_desk


@pytest.fixture
def desk(warehouse: Warehouse, warehouse_settings: Settings) -> Iterator[RawDesk]:
    with raw_desk(warehouse, warehouse_settings) as opened:
        yield opened
