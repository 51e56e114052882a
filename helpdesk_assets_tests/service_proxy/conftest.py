"""A table behind the proxy, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.api_core.retry import Retry
from google.cloud import bigquery

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import open_client
from helpdesk_assets_tests.service_proxy.clocks import ManualClock
from helpdesk_assets_tests.service_proxy.proxy import ServiceProxy

COLUMNS = (("id", "STRING"), ("made", "TIMESTAMP"), ("value", "INT64"))
# Google's client retries nothing by it.
NO_RETRY = Retry(predicate=lambda _: False)
JANUARY, MARCH = "2026-01-05", "2026-03-05"


@dataclass(frozen=True, slots=True)
class Service:
    """A table `t` of a dataset behind the proxy, whose clock the test moves."""

    proxy: ServiceProxy
    clock: ManualClock
    client: bigquery.Client
    dataset: str

    @property
    def table(self) -> str:
        return f"{self.client.project}.{self.dataset}.t"

    def make_table(self, *, partitioned: bool = True) -> None:
        table = bigquery.Table(self.table, [bigquery.SchemaField(*each) for each in COLUMNS])
        if partitioned:
            table.time_partitioning = bigquery.TimePartitioning("MONTH", "made")
        self.client.create_table(table)

    def merge(
        self, key: str, value: int, job_id: str, made: str = JANUARY, **config: Any
    ) -> bigquery.QueryJob:
        """Start a MERGE of one row."""
        sql = (
            f"MERGE INTO `{self.table}` AS T USING (SELECT '{key}' AS id, "
            f"TIMESTAMP '{made}' AS made, {value} AS value) AS S ON T.`id` = S.`id` "
            "WHEN MATCHED THEN UPDATE SET `value` = S.value "
            "WHEN NOT MATCHED THEN INSERT (`id`, `made`, `value`) VALUES (S.id, S.made, S.value)"
        )
        return self.query(sql, job_id, **config)

    def query(self, sql: str, job_id: str, **config: Any) -> bigquery.QueryJob:
        return self.client.query(
            sql,
            bigquery.QueryJobConfig(**config),
            job_id=job_id,
            job_retry=None,
            retry=NO_RETRY,
        )

    def store(self, key: str, value: int, made: str = JANUARY) -> None:
        """Store a row before the story begins."""
        self.merge(key, value, f"before_{key}_{value}", made)
        self.wait(10)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.proxy.settle()

    def job(self, job_id: str) -> bigquery.QueryJob:
        found = self.client.get_job(job_id, retry=NO_RETRY)
        assert isinstance(found, bigquery.QueryJob)
        return found

    def rows(self) -> list[tuple[str, int]]:
        return sorted((row["id"], row["value"]) for row in self.client.list_rows(self.table))


@pytest.fixture
def service(warehouse_settings: Settings) -> Iterator[Service]:
    settings, clock = warehouse_settings, ManualClock()
    with ServiceProxy(settings.bigquery_emulator_host, clock) as proxy:
        client = open_client(settings.model_copy(update={"bigquery_emulator_host": proxy.endpoint}))
        client.create_dataset(settings.bigquery_dataset)
        opened = Service(proxy, clock, client, settings.bigquery_dataset)
        opened.make_table()
        yield opened
        client.close()  # type: ignore[no-untyped-call]
