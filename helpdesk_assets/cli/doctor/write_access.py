"""The checks of `doctor` that say whether the dataset takes and keeps what a sync writes.

A run asks the same of `operations.readiness` before it reads the helpdesk.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from helpdesk_assets.cli.doctor.report import DiagnosticResult, DiagnosticStatus, run_check
from helpdesk_assets.operations.readiness import Consequence, findings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores.write_access import DatasetWriteAccess
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits

STATUS = {
    Consequence.FINE: DiagnosticStatus.OK,
    Consequence.NOTE: DiagnosticStatus.WARNING,
    Consequence.WARNING: DiagnosticStatus.WARNING,
    Consequence.REFUSED: DiagnosticStatus.FAILED,
}


def check_write_access(
    warehouse: BigQueryClient, specs: Sequence[TableSpec]
) -> Iterator[DiagnosticResult]:
    """Check what metadata says of the dataset and those tables."""
    reports: list[DatasetReport] = []

    def read() -> str:
        reports.append(DatasetWriteAccess(warehouse, specs).report())
        return f"of the dataset and {len(reports[0].tables)} tables can be read"

    yield run_check("metadata", read)
    for report in reports:
        for finding in findings(report):
            yield DiagnosticResult(finding.what, STATUS[finding.consequence], finding.text)
        if report.dataset:
            yield from _facts(report.dataset)


def _facts(dataset: DatasetTraits) -> Iterator[DiagnosticResult]:
    hours = dataset.time_travel_hours
    for what, text in (
        ("time travel", f"{hours} hours" if hours else "not reported (by default 168 hours)"),
        ("storage billing", dataset.storage_billing or "not reported (by default LOGICAL)"),
        ("encryption key", dataset.kms_key or "Google's own, unless BIGQUERY_KMS_KEY is set"),
    ):
        yield DiagnosticResult(what, DiagnosticStatus.OK, text)


def try_writing(warehouse: BigQueryClient) -> str:
    """Run a statement that may change rows; it bills BigQuery's minimum of 10 MB at most."""
    DatasetWriteAccess(warehouse).try_writing(run_id=uuid.uuid4().hex)
    return "granted"
