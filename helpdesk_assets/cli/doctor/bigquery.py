"""The BigQuery checks of `doctor`: access, dataset, each table, each right."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from helpdesk_assets.cli.connections import is_listening
from helpdesk_assets.cli.doctor.report import DiagnosticResult, DiagnosticStatus, run_check, skipped
from helpdesk_assets.cli.doctor.write_access import check_write_access, try_writing
from helpdesk_assets.cli.waiting import read_waiting
from helpdesk_assets.cli.watermark import is_far_ahead
from helpdesk_assets.errors import (
    HelpdeskAssetsError,
    UserError,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.formatting import format_time
from helpdesk_assets.model.webhooks import NotJudged
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.ground import full_load_reason
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.table_check import missing_columns
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import history_view
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import TableSpec

# Shorter than a sync's, because somebody waits for the answer.
DEADLINES = Deadlines(request=20.0, call=20.0, job=60.0)
CREATED_BY = {
    "sync": tables.SYNC_TABLES,
    "reconciliation": tables.RECONCILIATION_TABLES,
    "receiver": (tables.WEBHOOK_EVENTS,),
}
EVERY_TABLE = (
    *tables.SYNC_TABLES,
    *tables.RECONCILIATION_TABLES,
    tables.WEBHOOK_EVENTS,
    tables.WEBHOOK_OUTCOMES,
    tables.WEBHOOK_REFUSALS,
)
NOT_CREATED_YET = "does not exist yet; the first {} creates it"


def check_bigquery(settings: Settings) -> Iterator[DiagnosticResult]:
    """Check BigQuery, from its settings to the right to create tables."""
    for name in type(settings).model_fields:
        if name.startswith("bigquery_"):
            value = getattr(settings, name)
            yield run_check(name.upper(), partial(_format_value, value))
    try:
        warehouse = connect(settings, deadlines=DEADLINES)
    except HelpdeskAssetsError as error:
        yield DiagnosticResult("BigQuery access", DiagnosticStatus.FAILED, str(error))
        yield skipped("BigQuery dataset, tables and rights", "need the access")
        return
    with closing(warehouse):
        yield from _check_warehouse(warehouse, settings)


def _check_warehouse(warehouse: BigQueryClient, settings: Settings) -> Iterator[DiagnosticResult]:
    access = run_check("BigQuery access", lambda: _check_reachable(warehouse, settings))
    yield access
    if access.status is not DiagnosticStatus.OK:
        yield skipped("BigQuery dataset, tables and rights", "need the access")
        return
    yield run_check("right to run a query", lambda: _query(warehouse))
    dataset = run_check("dataset", lambda: _dataset(warehouse))
    yield dataset
    if dataset.status is not DiagnosticStatus.OK:
        yield skipped("tables and the rights to create and change them", "need the dataset")
        return
    yield from check_write_access(warehouse, EVERY_TABLE)
    for creator, made in CREATED_BY.items():
        for spec in made:
            yield run_check(f"table {spec.name}", partial(_table, warehouse, spec, creator))
    sync_tables = SyncTables.from_settings(warehouse, settings)
    yield run_check("account of the dataset", lambda: _account(sync_tables, settings))
    yield run_check("tables as the last run left them", lambda: _ground(sync_tables))
    yield run_check("state row", lambda: _state_row(warehouse, settings.sync_name))
    yield run_check("writer of tickets", lambda: _writer(sync_tables))
    yield run_check(f"view {history_view.NAME}", lambda: _view(warehouse))
    yield run_check("webhooks", lambda: _webhooks(warehouse, settings))
    yield run_check("waiting webhooks", lambda: _waiting(sync_tables))
    yield run_check("right to create, change and drop a table", lambda: try_writing(warehouse))


def _format_value(value: object) -> str:
    return str(value) if value else "not set"


def _check_reachable(warehouse: BigQueryClient, settings: Settings) -> str:
    """Check that the emulator answers; the query that follows tests the real service."""
    host = settings.bigquery_emulator_host
    if not host:
        return f"credentials found, project {settings.bigquery_project}"
    if not is_listening(host):
        raise WarehouseUnavailable(
            f"Nothing answers at {host}. Start the local warehouse, or set BIGQUERY_PROJECT and "
            "leave BIGQUERY_EMULATOR_HOST empty to use the real BigQuery."
        )
    return f"{warehouse.target.endpoint} answers, which needs no credentials"


def _query(warehouse: BigQueryClient) -> str:
    outcome = warehouse.run(Query("SELECT 1 AS one"), run_id=uuid.uuid4().hex, step="doctor")
    rows = list(outcome.rows)
    return "granted" if rows == [{"one": 1}] else f"granted, but SELECT 1 gave {rows!r}"


def _dataset(warehouse: BigQueryClient) -> str:
    warehouse.ensure_dataset()
    return f"{warehouse.dataset.project}.{warehouse.dataset.name} exists"


def _table(warehouse: BigQueryClient, spec: TableSpec, creator: str) -> str:
    found = warehouse.get_table(spec.name, fresh=True)
    if found is None:
        return NOT_CREATED_YET.format(creator)
    missing = missing_columns(spec.name, spec.columns, Schema(warehouse).columns(spec))
    rows = f"{int(found.num_rows or 0):,} rows, "
    if missing:
        names = ", ".join(column.name for column in missing)
        return f"{rows}lacks {names}; the next {creator} adds them"
    return f"{rows}all columns as expected"


def _account(sync_tables: SyncTables, settings: Settings) -> str:
    with closing(make_helpdesk(settings)) as helpdesk:
        account = check_account(sync_tables, helpdesk.capabilities)
    claimed = "its tables are this account's" if sync_tables.claims() else "nobody's yet"
    return f"{account.label}: {claimed}"


def _ground(sync_tables: SyncTables) -> str:
    reason = full_load_reason(sync_tables.read_state(), sync_tables.ground())
    if reason is not None:
        raise WarehouseRefused(
            f"{reason}. The next sync reads every ticket again and puts it right; find out who "
            "changes the dataset."
        )
    return "nothing is missing"


def _state_row(warehouse: BigQueryClient, sync_name: str) -> str:
    state = StateTable(warehouse, sync_name).read()
    if state is None:
        return f"sync {sync_name!r} has none yet; its first run creates it"
    faults = list(state.damaged)
    if is_far_ahead(state.watermark):
        faults.append(f"watermark {format_time(state.watermark)}, which is ahead of every clock")
    if faults:
        raise UserError(
            f"The row of sync {sync_name!r} in sync_state cannot be read whole: "
            f"{', '.join(faults)}. Run `helpdesk-assets watermark rebuild`, or "
            "`helpdesk-assets watermark set TIME` with a time up to which every change was read."
        )
    return f"readable, version {state.version}"


def _writer(sync_tables: SyncTables) -> str:
    writer = sync_tables.writer()
    return writer.describe(datetime.now(UTC)) if writer else "nobody just now"


def _waiting(sync_tables: SyncTables) -> str:
    now = datetime.now(UTC)
    waiting = read_waiting(sync_tables, now)
    return "no receiver has stored any yet" if waiting is None else waiting.describe(now)


def _view(warehouse: BigQueryClient) -> str:
    if Schema(warehouse).view(history_view.NAME) is None:
        return NOT_CREATED_YET.format("sync")
    return "exists; each sync keeps it up to date"


def _webhooks(warehouse: BigQueryClient, settings: Settings) -> str:
    """Say by what missed updates are judged: events, the tickets table, or nothing."""
    judging = SyncTables.from_settings(warehouse, settings).judging(settings.webhooks)
    if judging.not_judged is NotJudged.NO_EVENT:
        return (
            f"{judging.text}, so no change is called missed. Judging begins with the first one "
            "that `helpdesk-assets webhooks` stores; if another function writes the tickets "
            "table, set WEBHOOK_LEDGER=table"
        )
    return judging.text
