"""`open_helpdesk(vendor, *names)` serves samples; requests are held against the description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.vendor_requests.recorder import RequestRecorder, expect_none
from helpdesk_assets_tests.vendor_samples.samples import SampleHelpdesk, open_samples


class OpenHelpdesk(Protocol):
    def __call__(self, vendor: Vendor, *names: str) -> SampleHelpdesk: ...


@pytest.fixture
def open_helpdesk(
    request_recorder: RequestRecorder, request: pytest.FixtureRequest
) -> Iterator[OpenHelpdesk]:
    with ExitStack() as helpdesks:

        def opened(vendor: Vendor, *names: str) -> SampleHelpdesk:
            return helpdesks.enter_context(
                open_samples(vendor, names, request_recorder.hold_received)
            )

        with request_recorder.holding() as problems:
            yield opened
        expect_none(problems, request.node)
