"""Paging: every ticket of a window or a list, with no loss while tickets change."""
