"""A dataset for experiments, and what each of them reports.

Every statement has a limit on what it may bill, and what all of them billed is counted.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry
from google.cloud import bigquery

from helpdesk_assets.settings import Settings

GIB = 1024**3
DOLLARS_PER_TIB = 6.25
MONTHS = 36
# Google's client retries nothing by it: the experiments want to see each answer.
NO_RETRY = Retry(predicate=lambda _: False)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much an experiment does.

    Attributes:
        rows: of the large table.
        row_bytes: of each of its rows.
        pairs: how often two statements are started together.
        samples: how often a latency is measured.
        crowd: statements at once.
        reads: reads right after a statement.
        max_bytes: what one statement may bill.
    """

    rows: int
    row_bytes: int
    pairs: int
    samples: int
    crowd: int
    reads: int
    max_bytes: int


# All ten cost less than $3: the large table has 2.5 GB, and one month of it 70 MB.
SERVICE = Sizes(500_000, 5_000, 20, 50, 30, 100, 20 * GIB)
SMALL = Sizes(72, 50, 2, 3, 24, 3, GIB)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an experiment found, and what the project takes for granted.

    Attributes:
        question: what was asked.
        answer: what was seen.
        assumed: what the project assumes.
        holds: whether what was seen agrees with it.
    """

    question: str
    answer: str
    assumed: str
    holds: bool


@dataclass(slots=True)
class Lab:
    """A client and a dataset of its own; safe to share between threads."""

    client: bigquery.Client
    settings: Settings
    dataset: str
    location: str | None
    sizes: Sizes
    billed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def name(self, table: str) -> str:
        """Return a table's name as a statement writes it."""
        return f"`{self.client.project}.{self.dataset}.{table}`"

    def start(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        job_id: str | None = None,
        dry_run: bool = False,
    ) -> bigquery.QueryJob:
        """Start a statement; it may fail at once, or by its job."""
        config = bigquery.QueryJobConfig(
            query_parameters=list(parameters),
            maximum_bytes_billed=self.sizes.max_bytes,
            use_query_cache=False,
            dry_run=dry_run,
            labels={"app": "helpdesk-assets", "step": "experiment"},
        )
        return self.client.query(
            sql,
            config,
            job_id=job_id or f"experiment_{uuid.uuid4().hex}",
            location=self.location,
            retry=NO_RETRY,
            job_retry=None,
        )

    def wait(self, job: bigquery.QueryJob) -> list[Any]:
        """Wait for a statement; return its rows."""
        rows = list(job.result())
        with self._lock:
            self.billed += int(job.total_bytes_billed or 0)
        return rows

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a statement to its end."""
        return self.wait(self.start(sql, parameters))

    def make_table(self, name: str, *, dataset: str | None = None) -> bigquery.Table:
        """Create a table with tickets' partitions and clusters."""
        table = bigquery.Table(
            f"{self.client.project}.{dataset or self.dataset}.{name}",
            [
                bigquery.SchemaField("id", "STRING"),
                bigquery.SchemaField("made", "TIMESTAMP"),
                bigquery.SchemaField("value", "INT64"),
                bigquery.SchemaField("body", "STRING"),
            ],
        )
        table.time_partitioning = bigquery.TimePartitioning("MONTH", "made")
        table.clustering_fields = ["id"]
        return self.client.create_table(table)

    def fill(self, name: str) -> None:
        """Give the table its rows, spread over the months up to now."""
        self.make_table(name)
        self.run(
            f"INSERT INTO {self.name(name)} (id, made, value, body) "
            "SELECT CONCAT('t', CAST(n AS STRING)), TIMESTAMP_SUB(CURRENT_TIMESTAMP(), "
            f"INTERVAL MOD(n, {MONTHS}) * 30 DAY), 0, REPEAT('x', {self.sizes.row_bytes}) "
            f"FROM UNNEST(GENERATE_ARRAY(1, {self.sizes.rows})) AS n"
        )

    @property
    def dollars(self) -> float:
        return self.billed / 1024**4 * DOLLARS_PER_TIB


def merge(target: str, source: str, bounds: str = "") -> str:
    """Return a MERGE as the project makes them: update what is there, insert what is not."""
    return (
        f"MERGE INTO {target} AS T USING ({source}) AS S ON T.id = S.id {bounds} "
        "WHEN MATCHED THEN UPDATE SET value = S.value "
        "WHEN NOT MATCHED THEN INSERT (id, made, value) VALUES (S.id, S.made, S.value)"
    )


def one_row(key: str, value: int) -> str:
    """Return a source of one row of this month."""
    return f"SELECT '{key}' AS id, CURRENT_TIMESTAMP() AS made, {value} AS value"


def reason_of(error: google.GoogleAPICallError) -> str:
    """Return the reason and the beginning of the text."""
    first = error.errors[0] if error.errors else {}
    reason = first.get("reason", "") if isinstance(first, dict) else ""
    return f"{reason}: {str(error.message)[:90]}"


@contextmanager
def open_lab(client: bigquery.Client, settings: Settings, sizes: Sizes) -> Iterator[Lab]:
    """Make a dataset, and remove it with everything in it."""
    dataset = bigquery.Dataset(f"{client.project}.experiment_{uuid.uuid4().hex[:12]}")
    if settings.bigquery_location is not None:
        dataset.location = settings.bigquery_location
    made = client.create_dataset(dataset)
    try:
        location = made.location or settings.bigquery_location
        yield Lab(client, settings, made.dataset_id, location, sizes)
    finally:
        client.delete_dataset(made, delete_contents=True, not_found_ok=True)
