"""Syncs tickets that are created, changed, merged and deleted in a real Request Tracker.

Table and server are compared ticket by ticket, by users whose time zone is not UTC.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.providers.request_tracker.adapter import RequestTrackerAdapter as Adapter
from helpdesk_assets.providers.request_tracker.adapter import from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.conformance.vendors import REQUEST_TRACKER
from helpdesk_assets_tests.request_tracker.conftest import Running
from helpdesk_assets_tests.request_tracker.server import PASSWORD, RequestTracker

SUBJECTS = ("Größe falsch", "ログインできません", "'quoted' \"twice\" \\", "👩‍👩‍👧 plan", "x" * 190)
# How many tickets each makes. The last one logs in with a token, the others with a password.
USERS = {"sync-new-york": 25, "sync-kolkata": 10}
USER = "sync-utc"


def settings_of(running: Running, user: str, **more: Any) -> dict[str, Any]:
    login = {"helpdesk_user": user, "helpdesk_api_token": SecretStr(PASSWORD)}
    if user == "sync-kolkata":
        login = {"helpdesk_user": "", "helpdesk_api_token": SecretStr(running.token)}
    return {
        "helpdesk_provider": "request_tracker",
        "helpdesk_base_url": running.rt.base_url,
        "helpdesk_page_size": 10,
        "webhooks_enabled": False,
        **login,
        **more,
    }


def sync(settings: Settings, requested_mode: RequestedMode = RequestedMode.AUTO) -> SyncReport:
    with connected(settings) as sync_tables, closing(make_helpdesk(settings)) as helpdesk:
        policy = SyncPolicy.from_settings(settings)
        return run_sync(
            helpdesk, sync_tables, SyncRequest(requested_mode), policy, run_id=uuid.uuid4().hex
        )


def assert_equal(rt: RequestTracker, warehouse: BigQueryClient) -> dict[str, dict[str, Any]]:
    """Check that each ticket RT ever had is one row; of merged ones, RT returns no details."""
    rows = list(warehouse.list_rows("tickets"))
    stored = {row["ticket_id"]: dict(row) for row in rows}
    truth = rt.everything()
    assert len(rows) == len(stored)
    assert stored.keys() == truth.keys()
    for ticket_id, body in truth.items():
        row = stored[ticket_id]
        gone = body["Status"] == "deleted" or str(body["id"]) != ticket_id
        assert (row["deletedTime"] is not None) == gone, ticket_id
        if str(body["id"]) == ticket_id:
            true = REQUEST_TRACKER.columns(body)
            assert {name: row[name] for name in true} == true
            assert_whole(row["raw_json"], body)
    return stored


def assert_whole(raw_json: Any, body: dict[str, Any]) -> None:
    """Check that every field of the ticket by its id is in the row."""
    raw = as_value(raw_json)
    told = {**body, "id": str(body["id"]), "CustomFields": raw["CustomFields"]}
    for name in ("_hyperlinks", "EffectiveId"):
        told.pop(name)
    assert raw["Queue"].pop("Name") == ""  # no right to see queues
    assert {name: raw[name] for name in told} == told


def as_value(raw_json: Any) -> Any:
    """Return a JSON value; one local warehouse returns JSON columns as text."""
    return json.loads(raw_json) if isinstance(raw_json, str) else raw_json


@pytest.mark.parametrize("user", USERS)
def test_table_equals_request_tracker(
    running: Running, user: str, warehouse_settings: Settings, warehouse: BigQueryClient
) -> None:
    rt, settings = running.rt, warehouse_settings.model_copy(update=settings_of(running, user))
    ids = [rt.create(f"{SUBJECTS[n % 5]} {n}") for n in range(USERS[user])]
    first = sync(settings)
    assert (first.manifest.mode, first.manifest.fallback) == (Mode.FULL, False)
    assert_equal(rt, warehouse)

    rt.reply(ids[0], "Wir melden uns. 🙏🏽")
    rt.change(ids[1], Status="open", Priority="10", Owner="root")
    rt.change(ids[2], Subject="geändert", CustomFields={"Größe": "XXL"})
    rt.merge(ids[3], into=ids[4])
    rt.delete(ids[5])
    rt.change(ids[6], Status="deleted")
    rt.comment(ids[6], "und noch etwas")
    new = rt.create("new")
    second = sync(settings)
    assert (second.manifest.mode, second.manifest.fallback) == (Mode.INCREMENTAL, False)
    stored = assert_equal(rt, warehouse)
    assert stored[ids[1]]["assignee"] == "root"
    assert stored[ids[5]]["subject"] == f"{SUBJECTS[0]} 5"
    # A merged ticket keeps its known fields.
    assert (stored[ids[3]]["subject"], stored[ids[3]]["status"]) == (f"{SUBJECTS[3]} 3", "new")
    # Custom fields need a right, which New York's user does not have.
    raw = as_value(stored[ids[2]]["raw_json"])
    values = [field["values"] for field in raw["CustomFields"]]
    assert values == ([["XXL"]] if user == "sync-kolkata" else [])
    assert new in stored


def test_restored_tickets_and_merges_of_merged_ones(
    running: Running, warehouse_settings: Settings, warehouse: BigQueryClient
) -> None:
    rt, settings = running.rt, warehouse_settings.model_copy(update=settings_of(running, USER))
    back, one, two, three = (rt.create(f"in a chain {n}") for n in range(4))
    rt.delete(back)
    rt.merge(one, into=two)
    sync(settings)
    assert assert_equal(rt, warehouse)[back]["deletedTime"] is not None
    rt.change(back, Status="open")
    rt.merge(two, into=three)
    sync(settings)
    stored = assert_equal(rt, warehouse)
    assert [stored[each]["deletedTime"] is None for each in (back, one, two, three)] == [
        True,
        False,
        False,
        True,
    ]
    sync(settings, RequestedMode.FULL)
    assert_equal(rt, warehouse)


@pytest.fixture
def adapter(running: Running) -> Iterator[Adapter]:
    """An adapter for a user of New York, where one hour per year is ambiguous and one missing."""
    made = Settings.model_validate(settings_of(running, "sync-new-york"))
    with closing(from_settings(made)) as adapter:
        yield adapter


def test_inventory_equals_request_tracker(running: Running, adapter: Adapter) -> None:
    rt = running.rt
    living, deleted, merged, back = (rt.create(f"listed {n}") for n in range(4))
    rt.delete(deleted)
    rt.delete(back)
    rt.merge(merged, into=living)
    rt.change(back, Status="open")
    pages, truth = list(adapter.inventory()), rt.everything()
    entries = [line for page in pages for line in page.entries]
    told = {line.ticket_id: line for line in entries}
    gone = {
        ticket_id
        for ticket_id, body in truth.items()
        if body["Status"] == "deleted" or str(body["id"]) != ticket_id
    }
    assert {deleted, merged} <= gone
    assert {line.ticket_id for line in entries if line.gone} == gone
    assert sorted(told) == sorted(truth)
    assert {page.total for page in pages} == {len(truth) - len(gone)}
    for ticket_id in truth.keys() - gone:
        at = datetime.fromisoformat(truth[ticket_id]["LastUpdated"])
        assert told[ticket_id].modified_time == at


def test_local_times_are_parsed_as_documented(running: Running, adapter: Adapter) -> None:
    """A ticket is found by its exact second, throughout the days of clock changes."""
    rt = running.rt
    spring, autumn = datetime(2025, 3, 9, tzinfo=UTC), datetime(2025, 11, 2, tzinfo=UTC)
    hours = [timedelta(hours=n, minutes=30 * (n % 2)) for n in range(1, 13)]
    moments = [day + each for day in (spring, autumn) for each in hours]
    moments += [spring + timedelta(hours=7, seconds=n) for n in (-1, 0)]
    moments += [autumn + timedelta(hours=6, seconds=n) for n in (-1, 0)]
    dated = {rt.create("dated"): moment for moment in moments}
    rt.date(dated)
    for ticket_id, moment in dated.items():
        pages = adapter.changes(moment, moment)
        found = {row.ticket_id for page in pages for row in page.tickets if not row.deleted_time}
        assert found == {each for each, at in dated.items() if at == moment}, (ticket_id, moment)


def test_more_tickets_in_a_second_than_a_page(running: Running, adapter: Adapter) -> None:
    rt = running.rt
    moment = datetime(2025, 6, 1, 12, tzinfo=UTC)
    crowd = [rt.create("crowd") for _ in range(23)]
    rt.date(dict.fromkeys(crowd, moment))
    pages = adapter.changes(moment - timedelta(hours=1), moment + timedelta(hours=1))
    found = [row.ticket_id for page in pages for row in page.tickets if not row.deleted_time]
    assert sorted(found) == sorted(crowd)
    listed = {row.ticket_id for page in adapter.listing() for row in page.tickets}
    assert len(listed) == int(crowd[-1])


def test_one_ticket(running: Running, adapter: Adapter) -> None:
    """In the same format as in a list; otherwise, it would look like another version."""
    rt = running.rt
    living, deleted, merged = (rt.create("one") for _ in range(3))
    rt.delete(deleted)
    rt.merge(merged, into=living)
    listed = {row.ticket_id: row for page in adapter.changes(None) for row in page.tickets}
    assert adapter.ticket(living) == listed[living]
    gone = adapter.ticket(deleted)
    assert gone is not None
    assert gone.content_hash == listed[deleted].content_hash
    assert adapter.ticket(merged) == listed[merged]
    assert listed[merged].tombstone
    assert adapter.ticket("999999") is None
