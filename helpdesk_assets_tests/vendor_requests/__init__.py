"""What each vendor publishes of the endpoints that our adapters call, and whether they keep to it.

The descriptions are ours; names, patterns and limits are the vendor's, each with its source.
"""
