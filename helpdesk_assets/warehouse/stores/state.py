"""The state row: how far a sync has come, moved by compare-and-set.

It never goes backwards, but for a full load of tables that were not to be relied on.

The watermark is the sync's own. It is not derived from the tickets table, because webhooks write
there too: `MAX(modifiedTime)` is ahead of what the sync has read and hides exactly the updates that
it should find. Losing the row loses no ticket: the next run is a full load.

Reading the row is a table read and costs no query job. The statement that moves it also stores what
the warehouse counts at that moment, so reading it back gives a run's whole outcome.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate, LeaseLost
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import from_text
from helpdesk_assets.model.judging import UNJUDGED, Judging
from helpdesk_assets.model.lease import Predecessor
from helpdesk_assets.model.run_history import (
    mode_and_reason,
    read_counts_from_json,
    runs_from_json,
)
from helpdesk_assets.model.state import Checkpoint, ReadCounts, RunCounts, SyncState
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.staging import created_at
from helpdesk_assets.warehouse.statements.run_counts import run_counts_from_json, run_counts_query
from helpdesk_assets.warehouse.statements.sync_state import (
    adopt_statement,
    commit_statement,
    fence_statement,
)
from helpdesk_assets.warehouse.stores.cells import Cells

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StateTable:
    """The one row of sync_state that belongs to `sync_name`."""

    def __init__(self, client: BigQueryClient, sync_name: str) -> None:
        self._client = client
        self._sync_name = sync_name
        self._told: tuple[str, ...] = ()
        self._remembered: tuple[object, list[SyncState]] | None = None

    def read(self) -> SyncState | None:
        """Return the state as it is now; None without a row or a table.

        Two concurrent first runs can both insert the row, since BigQuery enforces no keys. Both
        windows are durable then; the lower watermark counts, which costs a re-read and loses
        nothing. A cell that cannot be read counts as empty; the log says so once.
        """
        states = self._own_rows()
        if not states:
            return None
        state = min(states, key=lambda each: each.watermark or EPOCH)
        if len(states) > 1:
            state = replace(state, damaged=(*state.damaged, f"{len(states)} rows of one name"))
        self._tell(state.damaged)
        return state

    def fence(self) -> int:
        """Return the row's fence; it counts only if the lease is held already."""
        return max((state.fence for state in self._own_rows()), default=0)

    def fence_off(self, gone: Sequence[Predecessor], run_id: str) -> None:
        """Let none of these earlier holders of the lease close, nor save a checkpoint."""
        statement = fence_statement(self._client.dataset, sorted({each.sync_name for each in gone}))
        # A step of its own each time: a run that takes over twice has to fence twice.
        self._client.run(statement, run_id=run_id, step=f"fence_{secrets.token_hex(4)}")

    def _own_rows(self) -> list[SyncState]:
        if self._client.get_table(tables.SYNC_STATE.name) is None:
            return []
        return [state for state in self._read_all() if state.sync_name == self._sync_name]

    def _tell(self, damaged: tuple[str, ...]) -> None:
        if damaged and damaged != self._told:
            log.warning(
                "The row of sync %r in sync_state cannot be read whole: %s. What cannot be read "
                "counts as empty. `helpdesk-assets watermark set TIME` or `helpdesk-assets "
                "watermark rebuild` writes the row anew.",
                self._sync_name,
                ", ".join(damaged),
            )
        self._told = damaged

    def stagings_in_use(self) -> set[str]:
        """Return the staging tables that interrupted runs of any sync can resume from."""
        return {state.checkpoint.staging for state in self._read_all() if state.checkpoint}

    def has_closed(self) -> bool:
        """Return whether a run of any sync name has closed."""
        if self._client.get_table(tables.SYNC_STATE.name) is None:
            return False
        return any(state.version > 0 for state in self._read_all())

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
        """Return every row, as read last if only a job of ours can have changed one since."""
        client = self._client
        # Taken before the read: a job that begins or ends meanwhile makes the result too old.
        mark = client.reading_mark and (client.reading_mark, client.use)
        if mark and self._remembered and self._remembered[0] == mark:
            return self._remembered[1]
        states = [_state_from(row) for row in client.list_rows(tables.SYNC_STATE.name)]
        self._remembered = (mark, states) if mark else None
        return states

    def commit_run(
        self, manifest: Manifest, judging: Judging = UNJUDGED, *, attempt: int = 0
    ) -> SyncState:
        """Record that the batch is durable in tickets, and move the watermark if the run may.

        Call it only after the MERGE into tickets has succeeded. Calling it again for the same run
        changes nothing.

        Args:
            manifest: the run.
            judging: what the run judges of webhooks.
            attempt: which try of the step this is.

        Raises:
            ConcurrentUpdate: the row is no longer the one that the run began with.
            LeaseLost: another writer has taken over.
            BatchGone: rows of the batch are gone, from where it is kept or from tickets.
        """
        if committed := self._committed_by(manifest.run_id):
            return committed
        seen = self.read()
        self._expect_version(manifest, seen)
        statement = commit_statement(self._client.dataset, self._sync_name, manifest, seen, judging)
        self._client.run(statement, run_id=manifest.run_id, step="sync_state", attempt=attempt)
        if committed := self._committed_by(manifest.run_id):
            return committed
        state = self.read()
        self._expect_version(manifest, state)
        if (state.fence if state else 0) != (seen.fence if seen else 0):
            raise LeaseLost(
                f"Closing run {manifest.run_id}: it gave no sign of life for a while, and another "
                "writer has taken over. The watermark was not moved and nothing is lost; run it "
                "again."
            )
        raise rows_gone(manifest)

    def commit_repeated(self, manifest: Manifest, judging: Judging) -> SyncState | None:
        """Record a run whose batch was stored before and not merged again.

        Returns:
            The row, None if the tables do not hold the batch as a MERGE would leave them, or the
            row is no longer the one that the run began with.
        """
        seen, dataset = self.read(), self._client.dataset
        if seen is None or not seen.has_stored(manifest):
            return self._committed_by(manifest.run_id)
        statement = commit_statement(
            dataset, self._sync_name, manifest, seen, judging, is_repeated=True
        )
        self._client.run(statement, run_id=manifest.run_id, step="sync_state")
        return self._committed_by(manifest.run_id)

    def _expect_version(self, manifest: Manifest, state: SyncState | None) -> None:
        if (state.version if state else 0) != manifest.expected_version:
            raise ConcurrentUpdate(
                f"Moving the watermark of sync {self._sync_name!r} from version "
                f"{manifest.expected_version}: another run has moved it meanwhile. No ticket is "
                "lost; run the sync again, and let one schedule or person at a time run it."
            )

    def _committed_by(self, run_id: str) -> SyncState | None:
        """Return the row that this run wrote, which need not be the one that counts."""
        return next((state for state in self._own_rows() if state.run_id == run_id), None)

    def count_run(
        self, manifest: Manifest, judging: Judging = UNJUDGED, *, attempt: int = 0
    ) -> RunCounts:
        """Count what committing the run would count, and leave the state row alone.

        Raises:
            BatchGone: rows of the batch are gone, from where it is kept or from tickets.
        """
        outcome = self._client.run(
            run_counts_query(self._client.dataset, manifest, judging),
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
    cells = Cells(row)
    until = cells.time("window_until")
    run_id = cells.text("run_id")
    state = SyncState(
        sync_name=cells.text("sync_name") or "",
        watermark=cells.time("watermark"),
        version=cells.number("version", optional=False),
        cursor=cells.text("cursor"),
        window=Window(cells.time("window_since"), until) if until else None,
        run_id=run_id,
        reason=cells.parse("reason", _reason if run_id else _no_reason, None),
        closed_at=cells.time("closed_at"),
        facts=cells.parse("facts", run_counts_from_json, RunCounts()),
        read_counts=cells.parse("reading", read_counts_from_json, ReadCounts()),
        recent_runs=cells.parse_list("recent_runs", runs_from_json),
        checkpoint=cells.parse("unfinished", _checkpoint, None),
        full_load_at=cells.time("full_load_at"),
        tickets_created=cells.time("tickets_created"),
        provider=cells.text("provider") or "",
        account=cells.text("account") or "",
        mapping=cells.number("mapping") or None,
        fence=cells.number("fence"),
    )
    return replace(state, damaged=cells.damaged)


def _reason(text: str | None) -> str | None:
    mode_and_reason(text)
    return text


def _checkpoint(text: str | None) -> Checkpoint | None:
    checkpoint = from_text(text)
    if checkpoint and created_at(checkpoint.staging, (tables.RAW_TICKET_CHANGES.name,)) is None:
        raise ValueError(f"not the name of a staging table: {checkpoint.staging}")
    return checkpoint


def _no_reason(_: str | None) -> None:
    """Before the first run has closed there is none to give."""
