"""Writes rows into tables by MERGE, from a table's description alone. Knows no ticket."""
