"""What says whether a dataset in memory takes what a sync writes."""

from __future__ import annotations

from dataclasses import replace

from helpdesk_assets.warehouse.write_access import DatasetReport
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset


class InMemoryWriteAccess:
    """A `WriteAccess`. What it reports is what a test has put into the dataset."""

    def __init__(self, dataset: InMemoryDataset) -> None:
        self._dataset = dataset

    def report(self) -> DatasetReport:
        return self._dataset.report

    def keep_rows(self) -> None:
        report = self._dataset.report
        kept = (
            replace(
                each,
                expires=None,
                partition_lifetime=None if each.must_keep_partitions else each.partition_lifetime,
            )
            for each in report.tables
        )
        self._dataset.report = replace(report, tables=tuple(kept))

    def try_writing(self, *, run_id: str) -> None:
        if self._dataset.refusal is not None:
            raise self._dataset.refusal
