"""Helpdesk adapters: they know HTTP and tickets, and neither BigQuery nor Dagster."""
