"""The webhook receiver: answers a post once its changes are durable in the warehouse.

It runs apart from the sync: it writes the same tickets table under the same guard and never
touches the watermark. Must not know Dagster or the simulated helpdesk.
"""
