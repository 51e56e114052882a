"""Parsing: from a vendor's JSON to tickets, with nothing lost or misread."""
