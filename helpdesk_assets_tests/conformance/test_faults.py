"""Answers that fail or are truncated, and tokens that expire.

A run may then fail, or read the listing instead, as long as it says so; the next run without faults
makes helpdesk and table equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.vendors import REST, VENDORS, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness

# Of the calls for changes, the first passes and the next ones show it.
TRANSIENT: Mapping[str, Mapping[str, Any]] = {
    "429 with Retry-After": {"name": "rate_limit_429", "retry_after": 7},
    "429 without Retry-After": {"name": "rate_limit_429", "retry_after": None},
    "500": {"name": "error_500"},
    "dropped connection": {"name": "drop_connection"},
    "truncated body": {"name": "truncated_json"},
}


# All vendors share one retry: each other vendor only has to show that it uses it.
FAILURES = [
    *((REST, fault) for fault in TRANSIENT),
    *((vendor, "429 with Retry-After") for vendor in VENDORS if vendor is not REST),
]


@pytest.mark.parametrize(
    ("vendor", "fault"), FAILURES, ids=lambda value: getattr(value, "name", value)
)
def test_transient_failure(harness: Harness, fault: str) -> None:
    _change_some(harness)
    harness.simulator.fault(**TRANSIENT[fault], on="search", after=1, count=2)
    report = harness.sync()
    assert not report.manifest.fallback
    assert report.manifest.api.retries == 2
    harness.sync_and_verify()


def test_failure_of_the_first_call(harness: Harness, vendor: Vendor) -> None:
    """If the listing is another endpoint, it is read instead, and the watermark stays."""
    _change_some(harness)
    harness.simulator.fault("error_500", on="search", count=1)
    report = harness.sync()
    assert report.manifest.fallback is not vendor.retries_first_call
    assert report.manifest.advances_watermark is vendor.retries_first_call
    harness.sync_and_verify()


def test_permanent_failure(harness: Harness) -> None:
    """Nothing is written by halves, and the watermark stays."""
    _change_some(harness)
    before = harness.state()
    harness.simulator.fault("error_500", after=1)
    with pytest.raises(EndpointFailed, match=r"500.*Given up"):
        harness.sync()
    assert harness.state() == before
    report = harness.sync_and_verify()
    assert report.manifest.mode is Mode.INCREMENTAL


def test_expired_token_is_renewed(harness: Harness) -> None:
    _change_some(harness)
    harness.simulator.fault("token_ends", on="search", after=1, count=1)
    report = harness.sync()
    assert not report.manifest.fallback
    assert harness.simulator.counters().calls["search"]["401"] == 1
    harness.sync_and_verify()


def test_expired_token_is_reported(harness: Harness) -> None:
    _change_some(harness)
    before, ended = harness.state(), harness.simulator.token
    harness.simulator.fault("token_ends", on="search", after=1, count=1)
    with pytest.raises(CredentialsRefused, match="HELPDESK_API_TOKEN") as refused:
        harness.sync()
    said = str(refused.value)
    assert "\n" not in said
    assert ended not in said
    assert harness.state() == before
    harness.simulator.accept_token(f"{ended}-again")
    harness.log_in()
    report = harness.sync_and_verify()
    assert report.manifest.mode is Mode.INCREMENTAL


def _change_some(harness: Harness) -> None:
    harness.simulator.change(100, spread_seconds=200)
    harness.simulator.advance(SECONDS_PAST_GRACE)
