"""What a vendor's fields fill the columns with is pinned to its MAPPING_VERSION.

A changed mapping leaves rows as they were filled before, and only the version tells a run to say
so. If a digest here differs, raise the adapter's MAPPING_VERSION and write both down anew.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import open_in_memory

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
# By provider: the version, and the digest of 40 tickets' columns.
PINNED = {
    "rest": (1, "6a3d92da5d48d9e2"),
    "zendesk": (1, "36027d8f1704f7bc"),
    "zoho_desk": (1, "baf000242c77090f"),
    "freshdesk": (2, "41d2bf84aa45ed9b"),
    "request_tracker": (1, "da7eb99bccb3829a"),
}


def _digest(vendor: Vendor) -> tuple[int, str]:
    mapped = [column.name for column in tables.TICKET_COLUMNS if column.name != "raw_json"]
    with open_in_memory(40, vendor, start=START) as harness:
        harness.sync()
        rows = [
            [str(row[name]) for name in mapped]
            for row in sorted(harness.rows(), key=lambda row: str(row["ticket_id"]))
        ]
        version = harness.capabilities().mapping_version
    return version, hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def test_changed_mapping_needs_a_new_version(vendor: Vendor) -> None:
    assert _digest(vendor) == PINNED[vendor.name]
