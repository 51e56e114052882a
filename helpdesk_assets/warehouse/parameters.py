"""Our query parameters as google's. A module of its own so that `sql` stays free of google."""

from __future__ import annotations

from google.cloud import bigquery

from helpdesk_assets.warehouse.sql import Parameter


def to_google(
    parameter: Parameter,
) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    name, kind, value = parameter.name, str(parameter.type), parameter.value
    if isinstance(value, tuple):
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)
