"""Holds every request of a vendor's adapter against the vendor's description."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from helpdesk_assets_tests.providers import loopback
from helpdesk_assets_tests.vendor_requests.apis import APIS
from helpdesk_assets_tests.vendor_requests.recorder import RequestRecorder, expect_none


@pytest.fixture(autouse=True)
def _requests_are_as_published(
    request_recorder: RequestRecorder,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Canned answers do not say whose they are: the vendor is that of the test's folder."""
    vendor = request.path.parent.name
    if vendor in APIS:
        monkeypatch.setattr(loopback, "on_request", partial(request_recorder.hold_received, vendor))
    with request_recorder.holding() as problems:
        yield
    expect_none(problems, request.node)
