"""Values that every other folder may know, and that know no folder above.

Tickets and pages, batches, the sync's state, run history, webhook policies, reconciliation, and how
they are written as JSON.
"""
