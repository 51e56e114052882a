"""Saves checkpoints of a long run: rows in a staging table, the position in the state row.

The position is written by compare-and-set on the state row's version, which stays as it is: a run
that another one has overtaken must not leave its position there. The lease is held meanwhile, so
that two first runs do not both insert the row. Must not know helpdesks.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from helpdesk_assets.errors import ConcurrentUpdate, WriterBusy
from helpdesk_assets.model.state import Checkpoint
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.statements.sync_state import checkpoint_statement
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.writer_lease import WriterLease

log = logging.getLogger(__name__)

# The helpdesk is not read meanwhile.
MAX_WAIT = timedelta(seconds=30)


class CheckpointTable:
    """The `extract.checkpoint.CheckpointStore` of one run."""

    def __init__(
        self, client: BigQueryClient, lease: WriterLease, *, sync_name: str, run_id: str
    ) -> None:
        self._client = client
        self._lease = lease
        self._state = StateTable(client, sync_name)
        self._schema = Schema(client)
        self._staging = Staging(client)
        self._sync_name = sync_name
        self._run_id = run_id

    def begin(self, staging: str) -> None:
        """Create the staging table."""
        # On the first load the dataset may be missing too.
        self._schema.ensure(tables.SYNC_STATE)
        self._staging.begin(staging, tables.RAW_TICKET_CHANGES.columns)

    def add_rows(self, spool: Spool, staging: str) -> None:
        """Append the spool's rows to the staging table.

        Raises:
            BatchGone: the staging table is gone, and with it all earlier rows.
        """
        columns = tables.RAW_TICKET_CHANGES.columns
        self._staging.add(staging, columns, spool, run_id=self._run_id, step="raw_ticket_changes")

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        """Write the checkpoint into the state row; not while somebody else writes for long.

        Raises:
            ConcurrentUpdate: the row's version is no longer `expected_version`.
        """
        try:
            with self._lease.hold("checkpoint", run_id=self._run_id, wait=MAX_WAIT):
                self._save(checkpoint, expected_version)
        except WriterBusy as error:
            log.info("No checkpoint this time: the next one says as much. %s", error)

    def _save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        statement = checkpoint_statement(
            self._client.dataset,
            self._sync_name,
            checkpoint,
            expected_version,
            self._state.fence(),
        )
        self._lease.check()
        outcome = self._client.run(statement, run_id=self._run_id, step="unfinished")
        if not outcome.changed:
            raise ConcurrentUpdate(
                f"Noting how far the reading of sync {self._sync_name!r} has come: another run has "
                "moved its state meanwhile. No ticket is lost; run the sync again, and let one "
                "schedule or person at a time run it."
            )
