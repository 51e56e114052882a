"""A warehouse in memory behind the same Protocol as BigQuery's, with the same guards.

Plain Python and no SQL. `contract/test_warehouse.py` holds both to the same promises.
"""
