"""Dagster resources: helpdesk, BigQuery and watermark. They build clients from the settings."""
