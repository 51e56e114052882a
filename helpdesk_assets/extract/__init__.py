"""Decides which window a run reads, fetches it as a batch, and saves checkpoints.

Must not know a vendor, SQL or Dagster.
"""
