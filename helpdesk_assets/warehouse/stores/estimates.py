"""Asks BigQuery what the statements of a run would read, and sends none of them.

The statements are those that the run's own steps send. Must not know helpdesks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import created_at
from helpdesk_assets.warehouse.merge.statement import rows_source
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.statements.sync_state import commit_statement
from helpdesk_assets.warehouse.stores.closing import log_is_due
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequests
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.table_spec import ColumnType

_SPECS = {spec.name: spec for spec in (*tables.SYNC_TABLES, tables.WEBHOOK_EVENTS)}
_NO_ROWS = Parameter("batch", ColumnType.STRING, "[]")


class RunEstimator:
    """Estimates the statements of one sync's runs."""

    def __init__(
        self,
        client: BigQueryClient,
        state: StateTable,
        runs: RunLog,
        requests: MergeRequests,
        writer: TableWriter,
        *,
        sync_name: str,
    ) -> None:
        self._client = client
        self._schema = Schema(client)
        self._state = state
        self._runs = runs
        self._requests = requests
        self._writer = writer
        self._sync_name = sync_name

    def estimate(
        self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy
    ) -> tuple[StatementEstimate, ...]:
        """Return what the run would send for a batch of which nothing is stored yet."""
        statements = self._statements(manifest, spool, webhooks)
        return tuple(self._estimate(step, query) for step, query in statements)

    def _statements(
        self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy
    ) -> Iterator[tuple[str, Query]]:
        state = self._state.read()
        judging = self._requests.expected_judging(manifest, webhooks)
        is_repeated = state is not None and state.has_stored(manifest)
        for spec, request in self._requests.planned(manifest, spool, judging):
            is_late_events = spec is tables.MISSED_UPDATES and judging.is_by_events
            if is_repeated and not is_late_events:
                continue
            query = request.statement(self._writer, spec, run_id=manifest.run_id)
            if query is not None:
                yield spec.name, query
        yield (
            tables.SYNC_STATE.name,
            commit_statement(
                self._client.dataset,
                self._sync_name,
                manifest,
                state,
                judging,
                is_repeated=is_repeated,
            ),
        )
        if state is not None and log_is_due(manifest.mode, manifest.expected_version + 1):
            log = self._runs.statement(state)
            if log is not None:
                yield tables.SYNC_RUNS.name, log

    def _estimate(self, step: str, query: Query) -> StatementEstimate:
        named = self._tables_of(query)
        staged = [name for name in named if created_at(name, tables.STAGED_TABLES) is not None]
        held = [name for name in named if name not in staged]
        unknown = next((why for name in held if (why := self._absent(name))), "")
        if unknown:
            return StatementEstimate(step, None, len(named), unknown=unknown)
        for name in staged:
            query = self._without_rows_of(name, query)
        found = self._client.estimate(query)
        return StatementEstimate(step, found, len(named), is_lower_bound=bool(staged))

    def _tables_of(self, query: Query) -> list[str]:
        """Return the tables of the dataset that the statement names, each once."""
        prefix = self._client.dataset.table("x").removesuffix("x`")
        return list(dict.fromkeys(re.findall(re.escape(prefix) + r"([^`]+)`", query.sql)))

    def _absent(self, name: str) -> str:
        """Return what the statement needs and the run would create first; empty if nothing."""
        if self._client.get_table(name) is None:
            return f"the table {name} does not exist yet"
        spec = _SPECS.get(name)
        columns = self._schema.absent(spec, spec.columns) if spec else ()
        return f"{name} has no column {', '.join(columns)} yet" if columns else ""

    def _without_rows_of(self, staging: str, query: Query) -> Query:
        """Replace a staging table, which the run would fill, by no rows of the same columns."""
        nothing = f"(\n{rows_source(tables.RAW_TICKET_CHANGES.columns)}\n)"
        sql = query.sql.replace(self._client.dataset.table(staging), nothing)
        return Query(sql, (*query.parameters, _NO_ROWS))
