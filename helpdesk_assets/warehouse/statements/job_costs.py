"""Sums up what BigQuery has billed for our jobs, by their labels."""

from __future__ import annotations

from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

APP_LABEL = "helpdesk-assets"


def job_costs(dataset: Dataset, location: str, days: int) -> Query:
    """Select jobs, failures, billed bytes and slot time by dataset and step.

    The view keeps 180 days and is partitioned by creation time.
    https://docs.cloud.google.com/bigquery/docs/information-schema-jobs

    Args:
        dataset: any dataset of the project that pays.
        location: where the jobs ran, such as EU.
        days: how far to look back.
    """
    # The parent of a script repeats what its children are billed.
    sql = f"""\
SELECT
  (SELECT MAX(IF(L.key = 'dataset', L.value, NULL)) FROM UNNEST(J.labels) AS L) AS dataset,
  (SELECT MAX(IF(L.key = 'table', L.value, NULL)) FROM UNNEST(J.labels) AS L) AS step,
  COUNT(*) AS jobs,
  COUNTIF(J.error_result IS NOT NULL) AS failed,
  SUM(IFNULL(J.total_bytes_billed, 0)) AS bytes_billed,
  SUM(IFNULL(J.total_slot_ms, 0)) / 1000 AS slot_seconds
FROM {dataset.jobs_view(location)} AS J
WHERE J.creation_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
  AND IFNULL(J.statement_type, '') != 'SCRIPT'
  AND EXISTS (
    SELECT 1 FROM UNNEST(J.labels) AS L WHERE L.key = 'app' AND L.value = @app
  )
GROUP BY dataset, step
ORDER BY bytes_billed DESC, slot_seconds DESC"""
    return Query(
        sql,
        (
            Parameter("days", ColumnType.INT64, days),
            Parameter("app", ColumnType.STRING, APP_LABEL),
        ),
    )
