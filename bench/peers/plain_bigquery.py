"""What the peers share: google's client as a sync opens it, and one table of tickets."""

from __future__ import annotations

import os
from typing import IO, Any

from helpdesk_assets.settings import load_settings
from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone

import_google_alone()

from google.cloud import bigquery  # noqa: E402 - only after pandas is hidden

from helpdesk_assets.warehouse.bigquery.connection import open_client  # noqa: E402

SCHEMA = [
    bigquery.SchemaField("ticket_id", "STRING"),
    bigquery.SchemaField("createdTime", "TIMESTAMP"),
    bigquery.SchemaField("modifiedTime", "TIMESTAMP"),
    bigquery.SchemaField("raw_json", "JSON"),
]


class PlainBigQuery:
    """One dataset, made if need be."""

    def __init__(self) -> None:
        self.client = open_client(load_settings())
        self.dataset = f"{self.client.project}.{os.environ['BIGQUERY_DATASET']}"
        self.client.create_dataset(self.dataset, exists_ok=True)

    def create(self, name: str) -> str:
        """Make the table if it does not exist; returns its id."""
        table = bigquery.Table(f"{self.dataset}.{name}", SCHEMA)
        self.client.create_table(table, exists_ok=True)
        return f"{self.dataset}.{name}"

    def load(self, rows: IO[bytes], table: str) -> None:
        """Load NDJSON by one job."""
        config = bigquery.LoadJobConfig(
            schema=SCHEMA,
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        )
        self.client.load_table_from_file(rows, table, rewind=True, job_config=config).result()

    def query(self, sql: str) -> list[Any]:
        """Run one statement; returns its rows."""
        return list(self.client.query(sql).result())
