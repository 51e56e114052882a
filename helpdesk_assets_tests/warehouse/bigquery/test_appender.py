"""Rows appended to the stand-in, and to a server that fails as it is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
from google.api_core import grpc_helpers
from grpc import StatusCode as Status

from helpdesk_assets.errors import (
    CredentialsRefused,
    SettingsError,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery import appender as appender_module
from helpdesk_assets.warehouse.bigquery.append_channel import AppendChannel
from helpdesk_assets.warehouse.bigquery.appender import RowAppender, RowsRefused
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import open_appender
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec
from helpdesk_assets_tests.append_service import (
    AppendService,
    acknowledge,
    fail,
    refuse,
    refuse_rows,
    serve_appends,
)

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
EVERY_TYPE = TableSpec(
    name="every_type",
    columns=(
        Column("id", ColumnType.STRING),
        Column("count", ColumnType.INT64),
        Column("share", ColumnType.FLOAT64),
        Column("done", ColumnType.BOOL),
        Column("at", ColumnType.TIMESTAMP),
        Column("content", ColumnType.JSON),
    ),
    key=("id",),
    merge_policy=MergePolicy.INSERT_ONLY,
)
IDS = TableSpec(
    name="ids",
    columns=(Column("id", ColumnType.STRING), Column("at", ColumnType.TIMESTAMP)),
    key=("id",),
    merge_policy=MergePolicy.INSERT_ONLY,
    partition_by="at",
    partition_unit="DAY",
)


@pytest.fixture
def appender(warehouse_settings: Settings, warehouse: BigQueryClient) -> Iterator[RowAppender]:
    with closing(open_appender(warehouse_settings, warehouse, deadline=30.0)) as opened:
        yield opened


class Told:
    """An appender on a server that answers as told; its clock moves when it waits."""

    def __init__(self, warehouse: BigQueryClient, address: str, service: AppendService) -> None:
        self.service = service
        self.waited = 0.0
        self.appender = RowAppender(
            warehouse,
            AppendChannel(address, None, is_emulator=True),
            deadline=20.0,
            monotonic=lambda: self.waited,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.waited += seconds

    def append(self, *ids: str) -> None:
        self.appender.append(IDS, [{"id": each, "at": NOON} for each in ids])

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.service.appended.get(IDS.name, [])]


@pytest.fixture
def told(warehouse: BigQueryClient) -> Iterator[Told]:
    service = AppendService()
    with serve_appends(service) as address:
        opened = Told(warehouse, address, service)
        with closing(opened.appender):
            yield opened


def stored(warehouse: BigQueryClient, spec: TableSpec) -> list[dict[str, Any]]:
    warehouse.get_table(spec.name, fresh=True)
    return list(warehouse.list_rows(spec.name))


def test_appended_row_is_read_back_with_every_type(
    warehouse: BigQueryClient, appender: RowAppender
) -> None:
    plus_two = timezone(timedelta(hours=2))
    row = {"id": 'ä\n"', "count": -(2**63), "share": 0.915908, "done": False, "content": '{"a":1}'}

    appender.append(EVERY_TYPE, [{**row, "at": NOON.astimezone(plus_two)}, {"id": "empty"}])

    first, second = sorted(stored(warehouse, EVERY_TYPE), key=lambda each: each["done"] is None)
    assert {**first, "content": None} == {**row, "at": NOON, "content": None}
    assert first["content"] in ({"a": 1}, '{"a":1}')
    assert set(second.values()) == {"empty", None}


def test_missing_table_is_created_as_described(
    warehouse: BigQueryClient, appender: RowAppender
) -> None:
    appender.append(tables.WEBHOOK_EVENTS, [{"event_id": "e", "received_at": NOON}])

    found = warehouse.get_table(tables.WEBHOOK_EVENTS.name, fresh=True)
    assert found is not None
    assert found.time_partitioning.field == "received_at"
    assert [row["event_id"] for row in stored(warehouse, tables.WEBHOOK_EVENTS)] == ["e"]


def test_missing_column_is_added_before_the_row(
    warehouse: BigQueryClient, appender: RowAppender
) -> None:
    Schema(warehouse).ensure(IDS, IDS.columns[:1])

    appender.append(IDS, [{"id": "a", "at": NOON}])

    assert stored(warehouse, IDS) == [{"id": "a", "at": NOON}]


def test_dropped_table_is_created_again(warehouse: BigQueryClient, appender: RowAppender) -> None:
    appender.append(IDS, [{"id": "a"}])
    warehouse.drop_table(IDS.name)

    appender.append(IDS, [{"id": "b"}])

    assert [row["id"] for row in stored(warehouse, IDS)] == ["b"]


def test_threads_append_beside_statements_without_loss(
    warehouse: BigQueryClient, appender: RowAppender
) -> None:
    Schema(warehouse).ensure(IDS)
    names = [f"{each:03}" for each in range(60)]

    def append(name: str) -> int:
        appender.append(IDS, [{"id": name}])
        return len(list(warehouse.list_rows(IDS.name)))

    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(append, names))

    assert all(seen)
    assert sorted(row["id"] for row in stored(warehouse, IDS)) == names


def test_large_appends_are_split_below_the_limit(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "MAX_REQUEST_BYTES", 100)

    told.append(*(f"{each:040}" for each in range(7)))

    assert len(told.service.requests) > 2
    assert all(len(r.proto_rows.rows.serialized_rows) < 3 for r in told.service.requests)
    assert told.ids == [f"{each:040}" for each in range(7)]


def test_row_refused_for_a_missing_column_waits_for_it(told: Told) -> None:
    told.service.answers.extend([refuse_rows(a="no such field: at.")] * 3)

    told.append("a")

    assert told.ids == ["a"]
    assert told.waited > 0


def test_refused_row_is_named_and_the_others_appended(told: Told) -> None:
    told.service.otherwise = refuse_rows(bad="out of range", worse="no text")

    with pytest.raises(
        RowsRefused, match=r"2 of 4 rows in table ids\. The first is id bad: out of"
    ):
        told.append("a", "bad", "b", "worse")

    assert told.ids == ["a", "b"]


def test_value_that_fits_no_column_is_a_refused_row(told: Told) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a"},
        {"id": "\ud800"},
        {"id": 7},
        {"id": "b", "colour": "red"},
    ]

    with pytest.raises(RowsRefused) as caught:
        told.appender.append(IDS, rows)

    assert sorted(caught.value.reasons) == [1, 2, 3]
    assert told.ids == ["a"]


@pytest.mark.parametrize(
    "code", [Status.UNAVAILABLE, Status.INTERNAL, Status.ABORTED, Status.CANCELLED, Status.UNKNOWN]
)
def test_broken_connection_is_tried_once_more(told: Told, code: Status) -> None:
    told.service.answers.extend([fail(code)])

    told.append("a")

    assert told.ids == ["a"]


@pytest.mark.parametrize("code", [Status.UNAVAILABLE, Status.ABORTED, Status.CANCELLED])
def test_connection_broken_twice_is_an_error_that_may_pass(told: Told, code: Status) -> None:
    told.service.answers.extend([fail(code), fail(code)])

    with pytest.raises(WarehouseUnavailable, match="did not answer while appending rows to table"):
        told.append("a")

    told.append("b")
    assert told.ids == ["b"]


@pytest.mark.parametrize("answer", [fail, refuse])
def test_new_table_unknown_for_a_while_is_waited_for(told: Told, answer: Any) -> None:
    told.service.answers.extend([answer(Status.NOT_FOUND, "no such table")] * 6)

    told.append("a")

    assert told.ids == ["a"]
    assert 1 < told.waited < 20


def test_table_unknown_until_the_deadline_is_an_error(told: Told) -> None:
    told.service.otherwise = fail(Status.NOT_FOUND, "no such table")

    with pytest.raises(WarehouseUnavailable, match="no such table"):
        told.append("a")

    assert 15 < told.waited <= 20


def test_refusals_are_told_by_what_a_person_can_do(told: Told, warehouse: BigQueryClient) -> None:
    warehouse.target = replace(warehouse.target, is_emulator=False)
    told.service.answers.extend(
        [
            fail(Status.PERMISSION_DENIED, "Permission 'TABLES_UPDATE_DATA' denied"),
            refuse(Status.INVALID_ARGUMENT, "the type of at is another"),
            fail(Status.RESOURCE_EXHAUSTED, "quota"),
        ]
    )

    with pytest.raises(CredentialsRefused, match="TABLES_UPDATE_DATA"):
        told.append("a")
    with pytest.raises(WarehouseRefused, match="the type of at"):
        told.append("a")
    with pytest.raises(WarehouseUnavailable, match="quota"):
        told.append("a")
    assert told.ids == []


def test_silent_server_is_left_at_the_deadline(warehouse: BigQueryClient) -> None:
    service, ended = AppendService(), threading.Event()

    def silent(request: Any) -> Any:
        ended.wait(20)
        return acknowledge(request)

    service.otherwise = silent
    with serve_appends(service) as address:
        channel = AppendChannel(address, None, is_emulator=True)
        with closing(RowAppender(warehouse, channel, deadline=0.3)) as opened:
            with pytest.raises(WarehouseUnavailable, match="did not answer"):
                opened.append(IDS, [{"id": "a"}])
            ended.set()


def test_server_that_went_away_is_found_again(warehouse: BigQueryClient) -> None:
    service = AppendService()
    with serve_appends(service) as address:
        told = Told(warehouse, address, service)
        told.append("a")
    with serve_appends(service, int(address.rpartition(":")[2])), closing(told.appender):
        told.append("b")

    assert told.ids == ["a", "b"]


def test_closed_appender_says_that_it_is_closed(told: Told) -> None:
    told.append("a")
    told.appender.close()

    with pytest.raises(WarehouseUnavailable, match="closed"):
        told.append("b")


def test_no_rows_are_no_call(told: Told) -> None:
    told.append()

    assert told.service.requests == []


def test_remote_grpc_address_of_a_stand_in_is_rejected(
    warehouse_settings: Settings, warehouse: BigQueryClient
) -> None:
    remote = warehouse_settings.model_copy(update={"bigquery_emulator_grpc_host": "10.0.0.7:9060"})

    with pytest.raises(SettingsError, match="BIGQUERY_EMULATOR_GRPC_HOST"):
        open_appender(remote, warehouse, deadline=1.0)


def test_real_service_is_reached_with_the_clients_credentials(
    warehouse_settings: Settings, warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def create_channel(target: str, **how: Any) -> grpc.Channel:
        seen.update(how, target=target)
        return grpc.insecure_channel("127.0.0.1:1")

    monkeypatch.setattr(grpc_helpers, "create_channel", create_channel)
    real = warehouse_settings.model_copy(update={"bigquery_emulator_host": ""})
    open_appender(real, warehouse, deadline=1.0).close()

    assert seen["target"] == "bigquerystorage.googleapis.com:443"
    assert seen["credentials"] is warehouse.credentials is not None
    assert ("grpc.max_reconnect_backoff_ms", 1_000) in seen["options"]


def test_connecting_imports_nothing_that_appends() -> None:
    script = (
        "import sys\n"
        "import helpdesk_assets.warehouse.stores.sync_tables\n"
        "import helpdesk_assets.warehouse.bigquery.connection\n"
        "sys.exit('helpdesk_assets.warehouse.bigquery.append_channel' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_errors_have_their_kind_whatever_was_hidden_at_import() -> None:
    """Commands import google's client while grpc is hidden, and append later."""
    script = (
        "from helpdesk_assets.warehouse.bigquery.lazy_imports import import_google_alone\n"
        "import_google_alone()\n"
        "from helpdesk_assets.warehouse.bigquery import append_channel as c\n"
        "print([type(c._from_status(code, 'no')).__name__ for code in range(17)])\n"
        "channel = c.AppendChannel('127.0.0.1:1', None, is_emulator=True)\n"
        "request = c.types.AppendRowsRequest(write_stream='s')\n"
        "try:\n    channel.append(request, timeout=1.0)\n"
        "except c.GoogleAPICallError as error:\n    print(type(error).__name__)\n"
        "channel.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    kinds, met = done.stdout.splitlines()
    assert kinds == str(
        [
            "Unknown", "Cancelled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
            "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
            "Aborted", "OutOfRange", "MethodNotImplemented", "InternalServerError",
            "ServiceUnavailable", "DataLoss", "Unauthenticated",
        ]
    )  # fmt: skip
    assert met in ("ServiceUnavailable", "DeadlineExceeded")
