"""What Dagster hands to assets: helpdesk, BigQuery, watermark. Builds clients, holds no rules."""
