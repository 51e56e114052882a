"""The state row: how far a sync has come, moved by compare-and-set and never backwards.

The watermark is the sync's own. It is not derived from the tickets table, because webhooks write
there too: `MAX(modifiedTime)` is ahead of what the sync has read and hides exactly the updates that
it should find. Losing the row loses no ticket: the next run is a full load.

Reading the row is a table read and costs no query job. The statement that moves it also stores what
the warehouse counts at that moment, so reading it back gives a run's whole outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import from_text
from helpdesk_assets.model.run_history import (
    read_counts_from_json,
    runs_from_json,
)
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.run_counts import run_counts_from_json, run_counts_query
from helpdesk_assets.warehouse.statements.sync_state import adopt_statement, commit_statement

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StateTable:
    """The one row of sync_state that belongs to `sync_name`."""

    def __init__(self, client: BigQueryClient, sync_name: str) -> None:
        self._client = client
        self._sync_name = sync_name

    def read(self) -> SyncState | None:
        """Return the state as it is now; None without a row or a table.

        Two concurrent first runs can both insert the row, since BigQuery enforces no keys. Both
        windows are durable then; the lower watermark counts, which costs a re-read and loses
        nothing.
        """
        if self._client.get_table(tables.SYNC_STATE.name) is None:
            return None
        states = [state for state in self._read_all() if state.sync_name == self._sync_name]
        return min(states, key=lambda state: state.watermark or EPOCH, default=None)

    def stagings_in_use(self) -> set[str]:
        """Return the staging tables that interrupted runs of any sync can resume from."""
        return {state.checkpoint.staging for state in self._read_all() if state.checkpoint}

    def accounts(self) -> set[Account]:
        """Return the accounts that the rows of any sync name, closed or not."""
        if self._client.get_table(tables.SYNC_STATE.name) is None:
            return set()
        states = self._read_all()
        unfinished = (state.checkpoint for state in states if state.checkpoint)
        return {
            *(Account(state.provider, state.account) for state in states if state.account),
            *(Account(each.provider, each.account) for each in unfinished if each.account),
        }

    def adopt(self, account: Account, *, run_id: str) -> None:
        """Give the rows of all syncs to an account. Those of others lose their watermark."""
        if self._client.get_table(tables.SYNC_STATE.name) is None:
            return
        statement = adopt_statement(self._client.dataset, account, run_id)
        self._client.run(statement, run_id=run_id, step="adopt")

    def _read_all(self) -> list[SyncState]:
        return [_state_from(row) for row in self._client.list_rows(tables.SYNC_STATE.name)]

    def commit_run(
        self, manifest: Manifest, *, events: WebhookPolicy | None = None, attempt: int = 0
    ) -> SyncState:
        """Record that the batch is durable in tickets, and move the watermark if the run may.

        Call it only after the MERGE into tickets has succeeded. Calling it again for the same run
        changes nothing.

        Args:
            manifest: the run.
            events: see `run_counts.facts`.
            attempt: which try of the step this is.

        Raises:
            ConcurrentUpdate: the row is no longer the one that the run began with.
            BatchGone: rows of the batch are gone, from where it is kept or from tickets.
        """
        seen = self.read()
        if seen is not None and seen.run_id == manifest.run_id:
            return seen
        self._expect_version(manifest, seen)
        statement = commit_statement(self._client.dataset, self._sync_name, manifest, seen, events)
        self._client.run(statement, run_id=manifest.run_id, step="sync_state", attempt=attempt)
        state = self.read()
        if state is not None and state.run_id == manifest.run_id:
            return state
        self._expect_version(manifest, state)
        raise rows_gone(manifest)

    def _expect_version(self, manifest: Manifest, state: SyncState | None) -> None:
        if (state.version if state else 0) != manifest.expected_version:
            raise ConcurrentUpdate(
                f"Moving the watermark of sync {self._sync_name!r} from version "
                f"{manifest.expected_version}: another run has moved it meanwhile. No ticket is "
                "lost; run the sync again, and let one schedule or person at a time run it."
            )

    def count_run(
        self, manifest: Manifest, *, events: WebhookPolicy | None = None, attempt: int = 0
    ) -> RunCounts:
        """Count what committing the run would count, and leave the state row alone.

        Raises:
            BatchGone: rows of the batch are gone, from where it is kept or from tickets.
        """
        outcome = self._client.run(
            run_counts_query(self._client.dataset, manifest, events),
            run_id=manifest.run_id,
            step="facts",
            attempt=attempt,
        )
        row = next(outcome.rows)
        if not row["is_whole"]:
            raise rows_gone(manifest)
        return run_counts_from_json(row["facts"])


def rows_gone(manifest: Manifest) -> BatchGone:
    """Return the error for a batch that does not stand whole in tickets once it is merged."""
    kept = manifest.staging or tables.RAW_TICKET_CHANGES.name
    return BatchGone(
        f"Closing run {manifest.run_id}: tickets that it fetched are no longer in {kept}, or "
        f"{tables.TICKETS.name} lacks them. Somebody has deleted rows or restored a table since. "
        "The watermark was not moved and nothing is lost: run it again from its start (in Dagster, "
        "materialise raw_ticket_changes and what follows it), which reads the same tickets."
    )


def _state_from(row: Mapping[str, Any]) -> SyncState:
    until = row["window_until"]
    return SyncState(
        sync_name=row["sync_name"],
        watermark=row["watermark"],
        version=row["version"],
        cursor=row["cursor"],
        window=Window(row["window_since"], until) if until else None,
        run_id=row["run_id"],
        reason=row["reason"],
        closed_at=row["closed_at"],
        facts=run_counts_from_json(row["facts"]),
        read_counts=read_counts_from_json(row["reading"]),
        recent_runs=runs_from_json(row["recent_runs"]),
        checkpoint=from_text(row["unfinished"]),
        full_load_at=row.get("full_load_at"),
        tickets_created=row.get("tickets_created"),
        provider=row.get("provider") or "",
        account=row.get("account") or "",
        mapping=row.get("mapping"),
    )
