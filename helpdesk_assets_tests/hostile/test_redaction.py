"""REDACT_FIELDS from one end to the other: whichever way a ticket comes in, what is named is in no
table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.conformance.vendors import VENDORS
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, open_rig

SECRET_WORD = "xyzzy-of-nobody"
KEY = SecretStr("0123456789abcdef")


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def rig(request: pytest.FixtureRequest, warehouse_endpoint: str) -> Iterator[Rig]:
    with open_rig(warehouse_endpoint, 6, request.param) as opened:
        yield opened


@pytest.fixture
def plain_rig(warehouse_endpoint: str) -> Iterator[Rig]:
    with open_rig(warehouse_endpoint, 6) as opened:
        yield opened


def everything(rig: Rig) -> str:
    """All rows of all tables, as text. What a view shows is in one of them."""
    stored = (item for item in rig.warehouse.list_tables() if item.table_type != "VIEW")
    return str([rig.rows(item.table_id) for item in stored])


def delete_fetched_before(rig: Rig, moment: datetime) -> None:
    """As the documents tell people to do."""
    table = rig.warehouse.dataset.table("raw_ticket_changes")
    before = Parameter("before", ColumnType.TIMESTAMP, floor(moment, timedelta(seconds=1)))
    query = Query(f"DELETE FROM {table} WHERE _fetched_at < @before", (before,))
    rig.warehouse.run(query, run_id="by-hand", step="delete")


def test_what_is_dropped_is_in_no_table(rig: Rig) -> None:
    subject = rig.vendor.subject
    rig.desk.create(2, fields={subject: SECRET_WORD})
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync(redact_fields=subject)
    assert report.facts.inserted == 8
    assert SECRET_WORD not in everything(rig)
    assert {row["subject"] for row in rig.rows()} == {None}
    assert all(subject not in row["raw_json"] for row in rig.tickets().values())


def test_a_full_sync_takes_out_of_tickets_what_is_named_later(plain_rig: Rig) -> None:
    rig, subject = plain_rig, plain_rig.vendor.subject
    rig.desk.create(2, fields={subject: SECRET_WORD})
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    assert SECRET_WORD in str(rig.rows())
    named: dict[str, Any] = {"redact_fields": f"{subject}:hash", "redact_key": KEY}
    # Times of answers are whole seconds: not within the one in which the first run read.
    rig.desk.advance(2)
    began = rig.desk.clock().now
    rig.sync(Ask.FULL, **named)
    assert SECRET_WORD not in str(rig.rows())
    assert SECRET_WORD in str(rig.rows("raw_ticket_changes"))
    delete_fetched_before(rig, began)
    assert SECRET_WORD not in everything(rig)
    hashes = {row["subject"] for row in rig.rows()}
    assert all(found.startswith("hmac:") for found in hashes)
    again = rig.sync(Ask.FULL, **named)
    assert again.facts.updated == 0


def test_what_tells_versions_apart_cannot_be_redacted(rig: Rig) -> None:
    for path in ("{}", "*", "{}:hash", "['{}'].x"):
        fields = path.format(rig.vendor.modified)
        named = rig.settings.model_copy(update={"redact_fields": fields, "redact_key": KEY})
        with pytest.raises(SettingsError, match="REDACT_FIELDS reaches the field"):
            make_helpdesk(named)
