"""BigQuery: statements as text, one client, and the writer that MERGEs batches into our tables.

Knows the model, the errors and the table descriptions. Must not know helpdesks, HTTP or Dagster.
"""
