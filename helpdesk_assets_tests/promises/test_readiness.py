"""A dataset that would not take the rows is told before the helpdesk is asked for any."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits
from helpdesk_assets_tests.harness import Harness


def _repair(harness: Harness) -> object:
    return harness.repair(["1"])


def _month(harness: Harness) -> object:
    now = harness.simulator.clock().now
    return harness.sync(since=now - timedelta(days=30), until=now)


def _drain(harness: Harness) -> object:
    return harness.drain()


@pytest.mark.parametrize("way", [Harness.sync, Harness.reconcile, _repair, _month, _drain])
def test_no_way_in_reads_the_helpdesk_first(
    harness: Harness, way: Callable[[Harness], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.sync()
    harness.deliver_to_receiver(harness.simulator.change(1))
    asked = harness.simulator.counters()

    def refuse(*_: object) -> DatasetReport:
        return DatasetReport("acme.desk", "US", DatasetTraits(location="EU"))

    with harness.backend.connected(harness.settings) as warehouse:
        monkeypatch.setattr(type(warehouse.write_access()), "report", refuse)
    with pytest.raises(WarehouseRefused, match="is in EU, and BIGQUERY_LOCATION is US"):
        way(harness)
    assert harness.simulator.counters() == asked
