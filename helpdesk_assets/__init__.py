"""Keep a helpdesk's tickets in BigQuery: a Dagster project built around one incremental sync."""
