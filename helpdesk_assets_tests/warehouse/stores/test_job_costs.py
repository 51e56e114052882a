"""What the jobs of a project have cost: the statement as text, and run on rows like the view's."""

from __future__ import annotations

from textwrap import dedent

import pytest

from helpdesk_assets.errors import SettingsError, WarehouseRefused
from helpdesk_assets.model.job_costs import CostReport, StepCost
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.statements.job_costs import job_costs
from helpdesk_assets.warehouse.stores.job_costs import read_costs

VIEW = "`acme`.`region-eu`.INFORMATION_SCHEMA.JOBS_BY_PROJECT"
# A row of the view, as far as the statement reads it.
ROW = """
SELECT
  [STRUCT('app' AS key, '{app}' AS value), STRUCT('dataset' AS key, 'desk' AS value),
    STRUCT('table' AS key, '{step}' AS value)] AS labels,
  {error} AS error_result,
  {billed} AS total_bytes_billed,
  2000 AS total_slot_ms,
  TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {age} DAY) AS creation_time,
  {kind} AS statement_type"""
ROWS = (
    {"step": "tickets", "billed": 1 << 40},
    {"step": "tickets", "billed": 1 << 40, "error": "'invalidQuery'"},
    {"step": "state", "billed": 5},
    {"step": "load", "billed": "CAST(NULL AS INT64)", "kind": "CAST(NULL AS STRING)"},
    {"step": "other", "billed": 7, "app": "dbt"},
    {"step": "tickets", "billed": 7, "age": 31},
    {"step": "tickets", "billed": 7, "kind": "'SCRIPT'"},
)
DEFAULTS = {"app": "helpdesk-assets", "error": "CAST(NULL AS STRING)", "age": 1, "kind": "'MERGE'"}


def test_statement_as_text() -> None:
    query = job_costs(Dataset("acme", "desk"), "EU", 30)
    assert query.sql == dedent(f"""\
        SELECT
          (SELECT MAX(IF(L.key = 'dataset', L.value, NULL)) FROM UNNEST(J.labels) AS L) AS dataset,
          (SELECT MAX(IF(L.key = 'table', L.value, NULL)) FROM UNNEST(J.labels) AS L) AS step,
          COUNT(*) AS jobs,
          COUNTIF(J.error_result IS NOT NULL) AS failed,
          SUM(IFNULL(J.total_bytes_billed, 0)) AS bytes_billed,
          SUM(IFNULL(J.total_slot_ms, 0)) / 1000 AS slot_seconds
        FROM {VIEW} AS J
        WHERE J.creation_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
          AND IFNULL(J.statement_type, '') != 'SCRIPT'
          AND EXISTS (
            SELECT 1 FROM UNNEST(J.labels) AS L WHERE L.key = 'app' AND L.value = @app
          )
        GROUP BY dataset, step
        ORDER BY bytes_billed DESC, slot_seconds DESC""")
    with pytest.raises(SettingsError, match="BIGQUERY_LOCATION"):
        job_costs(Dataset("acme", "desk"), "EU`; DROP", 30)


def test_only_own_jobs_of_these_days_count(warehouse: BigQueryClient) -> None:
    rows = "\nUNION ALL".join(ROW.format(**{**DEFAULTS, **row}) for row in ROWS)
    asked = job_costs(Dataset("acme", "desk"), "EU", 30)
    query = Query(asked.sql.replace(VIEW, f"({rows})"), asked.parameters)

    found = list(warehouse.run(query, run_id="costs", step="costs").rows)

    assert [(row["dataset"], row["step"], row["jobs"], row["failed"]) for row in found] == [
        ("desk", "tickets", 2, 1),
        ("desk", "state", 1, 0),
        ("desk", "load", 1, 0),
    ]
    assert [row["bytes_billed"] for row in found] == [2 << 40, 5, 0]
    assert [row["slot_seconds"] for row in found] == [4.0, 2.0, 2.0]


def test_local_warehouse_bills_nothing(warehouse: BigQueryClient) -> None:
    if not warehouse.is_emulator:
        assert read_costs(warehouse, 1) is not None
        return
    with pytest.raises(WarehouseRefused, match="Set BIGQUERY_PROJECT"):
        read_costs(warehouse, 30)


def test_a_month_is_reckoned_from_the_days() -> None:
    steps = (StepCost("desk", "tickets", 1, 0, 1 << 40, 1.0), StepCost("desk", "x", 1, 0, 0, 0.0))
    report = CostReport(15, 6.25, steps)
    assert report.dollars(report.bytes_billed) == 6.25
    assert report.dollars_a_month == 12.5
