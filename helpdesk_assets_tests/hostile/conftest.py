"""`helpdesk`: a helpdesk that answers with any bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.hostile.raw_helpdesk import RawHelpdesk, raw_helpdesk


@pytest.fixture
def helpdesk(warehouse: BigQueryClient, warehouse_settings: Settings) -> Iterator[RawHelpdesk]:
    with raw_helpdesk(warehouse, warehouse_settings) as opened:
        yield opened
