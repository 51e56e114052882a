"""The assets. The sync: raw_ticket_changes, missed_updates, tickets_table, sync_watermark.

Each asset takes resources, calls a plain function and turns its report into metadata. No module in
this folder uses `from __future__ import annotations`: Dagster reads config and resources from the
annotations when it decorates a function.
"""
