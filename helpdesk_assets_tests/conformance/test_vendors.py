"""The table of vendors contains each adapter, and names only existing tests."""

from __future__ import annotations

import re
from pathlib import Path

from helpdesk_assets.providers.registry import PROVIDERS
from helpdesk_assets_tests.conformance.vendors import VENDORS


def test_every_adapter_is_listed() -> None:
    assert {vendor.name for vendor in VENDORS} == set(PROVIDERS)


def test_only_existing_tests_can_be_excluded() -> None:
    """After renaming a test, its exclusion would apply to no vendor."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    test_names = set(re.findall(r"^def test_(\w+)", "\n".join(texts), re.MULTILINE))
    for vendor in VENDORS:
        assert vendor.excluded_tests.keys() <= test_names
        assert all(vendor.excluded_tests.values())
