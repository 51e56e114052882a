"""Tells people what the checks and the runs say, which open-source Dagster does not: once when it
begins, once a day while it lasts, once when it is over.
"""
