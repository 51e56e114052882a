"""Notifies people of failed checks and runs, which open-source Dagster does not do.

A problem is reported when it begins, once a day while it lasts, and once when it is over.
"""
