"""Holds every request of a vendor's adapter against the vendor's description."""

from __future__ import annotations

from functools import partial

import pytest

from helpdesk_assets_tests.providers import loopback
from helpdesk_assets_tests.vendor_requests.apis import APIS
from helpdesk_assets_tests.vendor_requests.recorder import RequestRecorder


@pytest.fixture(autouse=True)
def _requests_are_as_published(
    held_requests: None,
    request_recorder: RequestRecorder,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Canned answers do not say whose they are: the vendor is that of the test's folder."""
    vendor = request.path.parent.name
    if vendor in APIS:
        hold = partial(request_recorder.hold_received, vendor)
        monkeypatch.setattr(loopback, "on_request", hold)
