"""Helpdesk adapters. They know HTTP and tickets, but neither BigQuery nor Dagster."""
