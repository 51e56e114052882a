"""Answers that fail or are cut short, and tokens that end. A run may fail by them, or read the
listing instead, as long as it says so; the quiet run after it makes all equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig

# Of the calls for changes, the first passes and the next ones show it.
PASSING: Mapping[str, Mapping[str, Any]] = {
    "429 with Retry-After": {"name": "rate_limit_429", "retry_after": 7},
    "429 without Retry-After": {"name": "rate_limit_429", "retry_after": None},
    "500": {"name": "error_500"},
    "dropped connection": {"name": "drop_connection"},
    "truncated body": {"name": "truncated_json"},
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_failure_that_passes(rig: Rig, fault: Mapping[str, Any]) -> None:
    _change_some(rig)
    rig.desk.fault(**fault, on="search", after=1, count=2)
    report = rig.sync()
    assert not report.manifest.fallback
    assert report.manifest.api.retries == 2
    rig.settle()


def test_a_failure_of_the_first_call(rig: Rig, vendor: Vendor) -> None:
    """Where the listing is another endpoint, it is read instead, and the watermark stays."""
    _change_some(rig)
    rig.desk.fault("error_500", on="search", count=1)
    report = rig.sync()
    assert report.manifest.fallback is not vendor.asks_again
    assert report.manifest.moves_watermark is vendor.asks_again
    rig.settle()


def test_a_failure_that_stays(rig: Rig) -> None:
    """Nothing is half-written, and nothing believed."""
    _change_some(rig)
    before = rig.state()
    rig.desk.fault("error_500", after=1)
    with pytest.raises(EndpointFailed, match=r"500.*Given up"):
        rig.sync()
    assert rig.state() == before
    report = rig.settle()
    assert report.manifest.mode is Mode.INCREMENTAL


def test_goes_on_when_its_token_ends(rig: Rig) -> None:
    _change_some(rig)
    rig.desk.fault("token_ends", on="search", after=1, count=1)
    report = rig.sync()
    assert not report.manifest.fallback
    assert rig.desk.counters().calls["search"]["401"] == 1
    rig.settle()


def test_says_so_when_its_token_ends(rig: Rig) -> None:
    _change_some(rig)
    before, ended = rig.state(), rig.desk.token
    rig.desk.fault("token_ends", on="search", after=1, count=1)
    with pytest.raises(CredentialsRefused, match="HELPDESK_API_TOKEN") as refused:
        rig.sync()
    said = str(refused.value)
    assert "\n" not in said
    assert ended not in said
    assert rig.state() == before
    rig.desk.accept_token(f"{ended}-again")
    rig.log_in()
    report = rig.settle()
    assert report.manifest.mode is Mode.INCREMENTAL


def _change_some(rig: Rig) -> None:
    rig.desk.change(100, spread_seconds=200)
    rig.desk.advance(RIPE_SECONDS)
