"""Extraction: plan what to read from the helpdesk, read it into a batch, and checkpoint long reads.

Knows the helpdesk by its protocol only: no vendor, no SQL, no tables, no Dagster.
"""
