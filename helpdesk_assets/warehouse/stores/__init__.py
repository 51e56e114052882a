"""The tables of a sync in BigQuery, as operations and commands use them."""
