"""A helpdesk to try things on: same HTTP, its own clock, and every fault a real one has shown.

Kept empty on purpose: `control` must be importable where starlette and uvicorn are not installed.
"""
