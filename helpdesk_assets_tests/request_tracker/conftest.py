"""One Request Tracker per test process, and an API token for it.

If none can be started, the tests are skipped with the reason; in CI, they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from helpdesk_assets_tests.request_tracker.server import RequestTracker, why_not


@dataclass(frozen=True, slots=True)
class Running:
    """A running server; `token` belongs to the user sync-kolkata."""

    rt: RequestTracker
    token: str


@pytest.fixture(scope="session")
def installed() -> None:
    reason = why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"In CI these tests may not be skipped: {reason}")
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def running(installed: None) -> Iterator[Running]:
    rt = RequestTracker()
    try:
        token = rt.insert_users()
        with rt:
            yield Running(rt, token)
    finally:
        rt.stop()
