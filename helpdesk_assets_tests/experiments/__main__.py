"""Run the experiments on the real BigQuery: `BIGQUERY_PROJECT=... make test-bigquery`."""

from __future__ import annotations

import os
import sys

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import open_client
from helpdesk_assets_tests.experiments.lab import SERVICE, open_lab
from helpdesk_assets_tests.experiments.report import as_table, run_all
from helpdesk_assets_tests.warehouses import WarehouseKind, WarehouseMissing, require


def main() -> int:
    """Run all, print the table, and end with 1 if an assumption does not hold."""
    try:
        require(WarehouseKind.BIGQUERY, os.environ)
    except WarehouseMissing as error:
        sys.stderr.write(f"{error}\n")
        return 2
    settings = Settings()  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
    client = open_client(settings)
    with open_lab(client, settings, SERVICE) as lab:
        findings = run_all(lab, lambda text: print(text, file=sys.stderr))  # noqa: T201
        sys.stdout.write(f"\n{as_table(findings)}\nBilled: ${lab.dollars:.2f}\n")
    return 0 if all(found.holds for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
