"""Parsers of settings that hold more than one value: redaction paths, changes not subscribed to."""
