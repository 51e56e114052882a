"""REDACT_FIELDS end to end: redacted values are in no table, whichever way a ticket arrives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.conformance.vendors import VENDORS
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, open_harness

SECRET_WORD = "xyzzy-of-nobody"
KEY = SecretStr("0123456789abcdef")


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def harness(request: pytest.FixtureRequest, warehouse_endpoint: str) -> Iterator[Harness]:
    with open_harness(warehouse_endpoint, 6, request.param) as opened:
        yield opened


@pytest.fixture
def plain_harness(warehouse_endpoint: str) -> Iterator[Harness]:
    with open_harness(warehouse_endpoint, 6) as opened:
        yield opened


def everything(harness: Harness) -> str:
    """Return all rows of all tables as text; a view shows nothing that is not in them."""
    stored = (item for item in harness.warehouse.list_tables() if item.table_type != "VIEW")
    return str([harness.rows(item.table_id) for item in stored])


def delete_fetched_before(harness: Harness, moment: datetime) -> None:
    """Delete old rows as the documentation tells people to."""
    table = harness.warehouse.dataset.table("raw_ticket_changes")
    before = Parameter("before", ColumnType.TIMESTAMP, floor(moment, timedelta(seconds=1)))
    query = Query(f"DELETE FROM {table} WHERE _fetched_at < @before", (before,))
    harness.warehouse.run(query, run_id="by-hand", step="delete")


def test_redacted_fields_are_in_no_table(harness: Harness) -> None:
    subject = harness.vendor.subject
    harness.simulator.create(2, fields={subject: SECRET_WORD})
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync(redact_fields=subject)
    assert report.facts.inserted == 8
    assert SECRET_WORD not in everything(harness)
    assert {row["subject"] for row in harness.rows()} == {None}
    assert all(subject not in row["raw_json"] for row in harness.tickets().values())


def test_full_sync_removes_fields_redacted_later(plain_harness: Harness) -> None:
    harness, subject = plain_harness, plain_harness.vendor.subject
    harness.simulator.create(2, fields={subject: SECRET_WORD})
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    assert SECRET_WORD in str(harness.rows())
    named: dict[str, Any] = {"redact_fields": f"{subject}:hash", "redact_key": KEY}
    # Times of answers are whole seconds: wait for the second after the first run.
    harness.simulator.advance(2)
    began = harness.simulator.clock().now
    harness.sync(RequestedMode.FULL, **named)
    assert SECRET_WORD not in str(harness.rows())
    assert SECRET_WORD in str(harness.rows("raw_ticket_changes"))
    delete_fetched_before(harness, began)
    assert SECRET_WORD not in everything(harness)
    hashes = {row["subject"] for row in harness.rows()}
    assert all(found.startswith("hmac:") for found in hashes)
    again = harness.sync(RequestedMode.FULL, **named)
    assert again.facts.updated == 0


def test_modified_time_cannot_be_redacted(harness: Harness) -> None:
    for path in ("{}", "*", "{}:hash", "['{}'].x"):
        fields = path.format(harness.vendor.modified)
        named = harness.settings.model_copy(update={"redact_fields": fields, "redact_key": KEY})
        with pytest.raises(SettingsError, match="REDACT_FIELDS covers the field"):
            make_helpdesk(named)
