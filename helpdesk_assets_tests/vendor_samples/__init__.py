"""Answers in the form of the vendors' public documentation, through the adapters into the table.

Names and nesting are the documentation's; every value is made up. Each file says its source.
"""
