"""What a user wants of every job: a limit of bytes, a priority, a reservation, and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.cloud import bigquery

from helpdesk_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Options of jobs; all are BigQuery's own defaults unless given.

    Attributes:
        max_bytes_billed: BigQuery refuses a query that would be billed more; None: no limit.
        is_batch: queries wait for idle slots.
        reservation: which one runs all jobs, `projects/P/locations/L/reservations/R`; empty: as
            it is assigned.
        labels: further labels of each job.
    """

    max_bytes_billed: int | None = None
    is_batch: bool = False
    reservation: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings) -> JobOptions:
        """Take the options from settings."""
        return cls(
            settings.bigquery_max_bytes_billed,
            settings.bigquery_priority == "batch",
            settings.bigquery_reservation,
            settings.job_labels,
        )

    def apply_to_query(self, config: bigquery.QueryJobConfig) -> None:
        """Set the options of a query job."""
        if self.max_bytes_billed is not None:
            config.maximum_bytes_billed = self.max_bytes_billed
        if self.is_batch:
            config.priority = bigquery.QueryPriority.BATCH
        self.apply_to_load(config)

    def apply_to_load(self, config: bigquery.QueryJobConfig | bigquery.LoadJobConfig) -> None:
        """Set the options that load jobs have as well."""
        if self.reservation:
            config.reservation = self.reservation
