"""Webhooks: what a vendor's `webhooks` module must provide, and helpers to write one."""
