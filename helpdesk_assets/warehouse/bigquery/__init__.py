"""The one client of BigQuery: connection, tables, jobs, and the errors that they end in."""
