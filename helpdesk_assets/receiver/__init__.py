"""Takes webhooks in and answers once their changes are durable in the warehouse.

Beside the sync, not part of it: it writes the same tickets table under the same guard and leaves
the watermark alone. Must not know Dagster or the simulated helpdesk.
"""
