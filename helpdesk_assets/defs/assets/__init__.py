"""The graph: raw_ticket_changes, missed_updates, tickets_table, sync_watermark, in this order.

Each asset takes resources, calls a plain function and turns its report into metadata. No module in
here postpones annotations: Dagster reads config and resources from them when it decorates.
"""
