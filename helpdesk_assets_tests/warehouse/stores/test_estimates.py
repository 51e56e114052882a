"""A dry run on BigQuery: which requests it makes, and which statements it asks about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, open_harness
from helpdesk_assets_tests.promises.test_missed_updates_by_webhooks import hear_an_event
from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy

FULL = RequestedMode.FULL


class RequestLog(ReverseProxy):
    """Remembers every request: `GET`, `dry run`, or the method and path of what changes things."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.requests: list[str] = []

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        is_job = call.starts_a_job and call.body
        is_dry = is_job and json.loads(call.body)["configuration"].get("dryRun") is True
        told = "dry run" if is_dry else f"{call.method} {call.path}"
        self.requests.append("GET" if call.method == "GET" else told)
        return forward()


@pytest.fixture
def harness(warehouse_endpoint: str) -> Iterator[Harness]:
    with open_harness(warehouse_endpoint, 60) as opened:
        yield opened


def everything(settings: Settings) -> dict[str, Any]:
    """Return all tables of the dataset with their metadata and rows."""
    with closing(connect(settings)) as client:
        if client.get_dataset() is None:
            return {}
        held = {item.table_id: client.get_table(item.table_id) for item in client.list_tables()}
        return {
            name: (
                found and found.to_api_repr() | {"lastModifiedTime": None, "etag": None},
                found and found.etag,
                list(client.list_rows(name)) if found and found.table_type == "TABLE" else None,
            )
            for name, found in held.items()
        }


def expect_only_questions(harness: Harness, *, dry_runs: int, **changed: Any) -> None:
    """Fail if dry runs of either kind change anything, or ask for anything but answers."""
    before = everything(harness.settings)
    for mode in (RequestedMode.AUTO, FULL):
        with RequestLog(harness.settings.bigquery_emulator_host) as proxy:
            harness.preview(mode, bigquery_emulator_host=proxy.endpoint, **changed)
        assert {*proxy.requests} <= {"GET", "dry run"}
        assert "GET" in proxy.requests
        assert (proxy.requests.count("dry run") > 0) == (dry_runs > 0)
        if mode is RequestedMode.AUTO:
            assert proxy.requests.count("dry run") == dry_runs
    assert everything(harness.settings) == before


def test_dry_run_of_a_fresh_dataset_creates_nothing(harness: Harness) -> None:
    expect_only_questions(harness, dry_runs=0)
    harness.settings = harness.settings.model_copy(update={"bigquery_dataset": "not_there_yet"})
    expect_only_questions(harness, dry_runs=0)
    assert everything(harness.settings) == {}


@pytest.mark.slow
def test_dry_run_asks_and_changes_nothing(harness: Harness) -> None:
    harness.sync()
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    expect_only_questions(harness, dry_runs=4)
    hear_an_event(harness)
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    expect_only_questions(harness, dry_runs=4)
    expect_only_questions(harness, dry_runs=4, bigquery_small_batch_bytes=1)
    expect_only_questions(harness, dry_runs=3, webhooks_enabled=False)


def test_dry_run_leaves_table_defaults_to_the_sync(harness: Harness) -> None:
    """A sync takes away what would let rows vanish, and sets how long versions are kept."""
    harness.sync()
    found = harness.warehouse.get_table("tickets", fresh=True)
    assert found is not None
    found.labels = {}
    harness.warehouse.update_labels(found)
    harness.backend.drop_table("missed_updates")
    harness.backend.drop_table("ticket_history")
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    expect_only_questions(harness, dry_runs=2, history_days=40)


@pytest.mark.slow
def test_asked_statements_are_those_that_are_sent(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, sent = list[str](), list[str]()
    run = BigQueryClient.run

    def note(client: BigQueryClient, query: Query) -> int:
        asked.append(query.sql)
        return 0

    def note_and_run(client: BigQueryClient, query: Query, **job: Any) -> QueryResult:
        sent.append(query.sql)
        return run(client, query, **job)

    harness.sync()
    monkeypatch.setattr(BigQueryClient, "estimate", note)
    monkeypatch.setattr(BigQueryClient, "run", note_and_run)
    for changes in (5, 0, 0):
        if changes:
            harness.simulator.change(changes, spread_seconds=5)
        harness.simulator.advance(30)
        harness.simulator.freeze()
        harness.preview()
        assert sent == []
        harness.sync()
        assert asked == sent
        assert asked
        asked.clear()
        sent.clear()
        harness.simulator.thaw()


def test_filling_of_an_empty_table_is_asked_about(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def note(client: BigQueryClient, query: Query) -> int:
        asked.append(query.sql)
        return 7

    monkeypatch.setattr(BigQueryClient, "estimate", note)
    harness.prepare_tables()
    preview = harness.preview()
    assert [sql.split()[0] for sql in asked] == ["INSERT", "INSERT", "MERGE"]
    assert [each.bytes_processed for each in preview.statements] == [7, 7, 7]
    assert all(each.is_lower_bound for each in preview.statements)
    assert not [sql for sql in asked if "__stg_" in sql]
