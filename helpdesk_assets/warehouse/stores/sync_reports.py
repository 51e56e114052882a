"""What is read of the tables beside a run: its history, how webhooks do, which tickets live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import RunRecord
from helpdesk_assets.model.webhook_events import WaitingEvents
from helpdesk_assets.model.webhooks import WebhookDay, WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.statements import batch
from helpdesk_assets.warehouse.statements.pending_events import count_pending
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequests
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.webhook_history import read_days


class SyncReports:
    """The part of `stores.sync_tables.SyncTables` that only reads. Making one sends no request."""

    def __init__(
        self, client: BigQueryClient, state: StateTable, runs: RunLog, requests: MergeRequests
    ) -> None:
        self._client = client
        self._state = state
        self._runs = runs
        self.requests = requests

    def last_advances(self, limit: int) -> tuple[RunRecord, ...]:
        """Return the last moves of the watermark, newest first.

        They are the log's rows, and those that only the state row remembers.
        """
        state = self._state.read()
        known = {(run.version, run.run_id): run for run in known_runs(state)} if state else {}
        known |= {(run.version, run.run_id): run for run in self._runs.newest(limit)}
        newest = sorted(known.values(), key=lambda run: (run.closed_at, run.version), reverse=True)
        return tuple(newest[:limit])

    def missed_in_last_hours(self, hours: int) -> int:
        """Count the missed updates recorded in the last hours."""
        outcome = self._client.run(
            batch.missed_since(self._client.dataset, hours), run_id="status", step="missed"
        )
        return next(int(row["missed"]) for row in outcome.rows)

    def judging(self, webhooks: WebhookPolicy) -> Judging:
        """Return what a run would judge of webhooks now. Costs no query job."""
        return self.requests.judging(webhooks)

    def webhook_days(
        self, since: datetime, judging: Judging, *, run_id: str
    ) -> tuple[WebhookDay, ...]:
        """Return how webhooks did on each day since then; empty if nothing is judged."""
        return read_days(self._client, self._state.read(), since, judging, run_id=run_id)

    def waiting_events(self, since: datetime) -> WaitingEvents:
        """Count the events since then that nobody has merged. Makes no table."""
        has_outcomes = Schema(self._client).exists(tables.WEBHOOK_OUTCOMES)
        query = count_pending(self._client.dataset, since, has_outcomes=has_outcomes)
        row = next(self._client.run(query, run_id="status", step="waiting").rows)
        return WaitingEvents(int(row["events"]), row["oldest"])

    def find_live_tickets(
        self, ids: Sequence[str], *, created_by: datetime, run_id: str
    ) -> list[str]:
        """Return the tickets that have a live row and are old enough, in the order of `ids`."""
        asked = batch.find_live_tickets(self._client.dataset, ids, created_by)
        outcome = self._client.run(asked, run_id=run_id, step="alive")
        alive = {row["ticket_id"] for row in outcome.rows}
        return [ticket_id for ticket_id in ids if ticket_id in alive]
