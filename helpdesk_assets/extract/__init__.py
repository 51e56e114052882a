"""The heart: what to ask the helpdesk for, what counts as missed, when the watermark may move.

Knows the protocols of helpdesk and warehouse, and neither a vendor nor SQL nor Dagster.
"""
