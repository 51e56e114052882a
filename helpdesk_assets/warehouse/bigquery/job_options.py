"""What a user wants of every job: a key, a limit of bytes, a priority and a reservation.

They are the defaults of google's client, so that they hold for each job that it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpdesk_assets.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery


def query_defaults(settings: Settings) -> bigquery.QueryJobConfig:
    """Return what every query has, as the settings say."""
    from google.cloud import bigquery

    config = bigquery.QueryJobConfig()
    if settings.bigquery_max_bytes_billed is not None:
        config.maximum_bytes_billed = settings.bigquery_max_bytes_billed
    if settings.bigquery_priority == "batch":
        config.priority = bigquery.QueryPriority.BATCH
    _add_common(config, settings)
    return config


def load_defaults(settings: Settings) -> bigquery.LoadJobConfig:
    """Return what every load job has, as the settings say."""
    from google.cloud import bigquery

    config = bigquery.LoadJobConfig()
    _add_common(config, settings)
    return config


def _add_common(
    config: bigquery.QueryJobConfig | bigquery.LoadJobConfig, settings: Settings
) -> None:
    from google.cloud import bigquery

    if settings.bigquery_kms_key:
        # Also of temporary results.
        key = bigquery.EncryptionConfiguration(settings.bigquery_kms_key)
        config.destination_encryption_configuration = key
    if settings.bigquery_reservation:
        config.reservation = settings.bigquery_reservation
