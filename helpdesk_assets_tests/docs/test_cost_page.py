"""The tables of the page about costs are what the model computes from the statements of today."""

from __future__ import annotations

import pytest

from helpdesk_assets_tests.docs.texts import ROOT
from helpdesk_assets_tests.warehouse.cost_tables import TABLES

PAGE = (ROOT / "docs" / "bigquery-cost.md").read_text()


@pytest.mark.parametrize("name", TABLES)
def test_cost_page_shows_what_is_computed(name: str) -> None:
    made = TABLES[name]()
    assert made in PAGE, f"put this into the page:\n{made}"
