"""Simulated helpdesk: real HTTP, a clock that tests can move, and the faults of real helpdesks.

This file imports nothing, so that `admin_client` works without starlette and uvicorn.
"""
