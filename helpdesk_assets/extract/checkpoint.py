"""Make a long reading durable while it goes on, so that a killed run need not read it again.

From time to time the rows so far are added to the batch's staging table, and then it is noted down
how far the reading has come. In this order: rows that are stored and not noted are read once more
and do no harm, rows that are noted and not stored would be lost. Must not know how either is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from helpdesk_assets.extract.batch_writer import BatchWriter
from helpdesk_assets.extract.plan import Plan
from helpdesk_assets.model.batch import batch_staging_name
from helpdesk_assets.model.state import Checkpoint
from helpdesk_assets.model.tickets import Page
from helpdesk_assets.spool import Spool

# Each time is a load job, of which BigQuery allows 1,500 a day for a table.
CHECKPOINT_EVERY = timedelta(minutes=2)
# What has ended meanwhile must still be told of by the helpdesk when the reading goes on, and the
# staging table must outlive that reading.
RESUME_WITHIN = timedelta(days=3)


class CheckpointStore(Protocol):
    """Where a reading is kept."""

    def begin(self, staging: str) -> None:
        """Make the staging table."""
        ...

    def add_rows(self, spool: Spool, staging: str) -> None:
        """Add rows to the staging table.

        Raises:
            BatchGone: it is no more, and what it held is lost with it.
        """
        ...

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        """Raises:
        AnotherWriter: the state row is no longer the one of `expected_version`.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """How a reading is kept: where, and how often."""

    store: CheckpointStore
    interval: timedelta = CHECKPOINT_EVERY
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Checkpointer:
    """The saving of one batch. `plan`: what is being read, and would be gone on with."""

    def __init__(
        self,
        checkpoint_policy: CheckpointPolicy | None,
        plan: Plan,
        *,
        provider: str,
        batch_id: str,
        spool: Spool,
        writer: BatchWriter,
    ) -> None:
        """`checkpoint_policy` None: nothing is kept, as for a range that somebody asks for."""
        self._checkpoint_policy = checkpoint_policy
        self.plan = plan
        self._provider = provider
        own = batch_staging_name(batch_id)
        self.staging = plan.checkpoint.staging if plan.checkpoint else own
        self._spool = spool
        self._writer = writer
        self._due = (
            checkpoint_policy.monotonic() + checkpoint_policy.interval.total_seconds()
            if checkpoint_policy
            else 0.0
        )
        # With something stored, the batch is the staging table, however small the rest.
        self.has_checkpoint = plan.checkpoint is not None

    def save_if_due(self, page: Page) -> None:
        """The page is in the spool; save when it is time."""
        checkpoint_policy = self._checkpoint_policy
        if checkpoint_policy is None or page.resume is None or not self._spool.rows:
            return
        if checkpoint_policy.monotonic() < self._due:
            return
        if not self.has_checkpoint:
            # Only now: were it made again later on, the rows before would be missing in silence.
            checkpoint_policy.store.begin(self.staging)
            self.has_checkpoint = True
        checkpoint_policy.store.add_rows(self._spool, self.staging)
        checkpoint_policy.store.save(
            self._checkpoint(page.resume, page), self.plan.expected_version
        )
        self._spool.clear()
        self._writer.versions = None
        self._due = checkpoint_policy.monotonic() + checkpoint_policy.interval.total_seconds()

    def finish(self) -> None:
        """All has been read: the rest joins what is stored, where anything is."""
        if self._checkpoint_policy is not None and self.has_checkpoint and self._spool.rows:
            self._checkpoint_policy.store.add_rows(self._spool, self.staging)
            self._spool.clear()

    def _checkpoint(self, resume: str, page: Page) -> Checkpoint:
        writer, plan = self._writer, self.plan
        now = self._checkpoint_policy.now if self._checkpoint_policy else (lambda: page.served_at)
        return Checkpoint(
            provider=self._provider,
            staging=self.staging,
            resume=resume,
            saved_at=now(),
            mode=plan.mode,
            reason=plan.reason,
            since=plan.since,
            first_load=plan.first_load,
            rows=writer.rows,
            pages=writer.pages,
            tombstones=writer.tombstones,
            bad=tuple(writer.bad),
            bad_count=writer.bad_count,
            share=page.share,
        )
