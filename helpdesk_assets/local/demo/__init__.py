"""The whole story on one machine: lost webhooks, and the sync that finds them.

Uses the real job, writer and adapter; only the helpdesk and BigQuery are stand-ins. Kept empty, so
that its parts can be used one by one.
"""
