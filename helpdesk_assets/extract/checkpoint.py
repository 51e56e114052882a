"""Save checkpoints of a long run, so that a killed run can be resumed.

From time to time the new rows are appended to the batch's staging table, and then the position is
saved. In this order: rows stored after the last saved position are read again and do no harm; rows
behind a saved position that were not stored would be lost. Must not know how either is stored.
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
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.spool import Spool

# Each checkpoint is a load job, of which BigQuery allows 1,500 a day for a table.
CHECKPOINT_EVERY = timedelta(minutes=2)
# Helpdesks report deletions only for a limited time, and the staging table must outlive the resumed
# run.
RESUME_WITHIN = timedelta(days=3)


class CheckpointStore(Protocol):
    """Where checkpoints are stored."""

    def begin(self, staging: str) -> None:
        """Create the staging table."""
        ...

    def add_rows(self, spool: Spool, staging: str) -> None:
        """Append rows to the staging table.

        Raises:
            BatchGone: the table is gone, and with it all earlier rows.
        """
        ...

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        """Save the position.

        Raises:
            ConcurrentUpdate: the state row's version is no longer `expected_version`.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """Where and how often checkpoints are saved."""

    store: CheckpointStore
    interval: timedelta = CHECKPOINT_EVERY
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Checkpointer:
    """Saves the checkpoints of one batch. `plan` is what is read, and what would be resumed."""

    def __init__(
        self,
        checkpoint_policy: CheckpointPolicy | None,
        plan: Plan,
        *,
        capabilities: Capabilities,
        batch_id: str,
        spool: Spool,
        writer: BatchWriter,
    ) -> None:
        """Start with the plan's checkpoint, if it has one.

        Args:
            checkpoint_policy: None: nothing is saved, as for a range.
            plan: what is read.
            capabilities: name and account; another helpdesk's checkpoint is not resumed.
            batch_id: names the staging table.
            spool: the rows since the last checkpoint.
            writer: counts of all rows.
        """
        self._checkpoint_policy = checkpoint_policy
        self.plan = plan
        self._capabilities = capabilities
        own = batch_staging_name(batch_id)
        self.staging = plan.checkpoint.staging if plan.checkpoint else own
        self._spool = spool
        self._writer = writer
        self._due = (
            checkpoint_policy.monotonic() + checkpoint_policy.interval.total_seconds()
            if checkpoint_policy
            else 0.0
        )
        # Once rows are stored, the batch is the staging table, however small the rest is.
        self.has_checkpoint = plan.checkpoint is not None

    def save_if_due(self, page: Page) -> None:
        """Save a checkpoint if it is time; the page is in the spool already."""
        checkpoint_policy = self._checkpoint_policy
        if checkpoint_policy is None or page.resume is None or not self._spool.rows:
            return
        if checkpoint_policy.monotonic() < self._due:
            return
        if not self.has_checkpoint:
            # Only once: a table created again later would silently lack the earlier rows.
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
        """Append the last rows to the staging table, if there is one."""
        if self._checkpoint_policy is not None and self.has_checkpoint and self._spool.rows:
            self._checkpoint_policy.store.add_rows(self._spool, self.staging)
            self._spool.clear()

    def _checkpoint(self, resume: str, page: Page) -> Checkpoint:
        writer, plan = self._writer, self.plan
        now = self._checkpoint_policy.now if self._checkpoint_policy else (lambda: page.served_at)
        return Checkpoint(
            provider=self._capabilities.name,
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
            forced=plan.forced,
            account=self._capabilities.account,
        )
