"""The alert sensor: reads ended runs from Dagster and sends what is due."""
