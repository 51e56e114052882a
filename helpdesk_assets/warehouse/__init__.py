"""BigQuery: one client, the statements, the MERGE and the tables of a sync.

Knows the model, the errors and the table descriptions. Must not know helpdesks, HTTP or Dagster.
"""
