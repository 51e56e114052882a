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
from helpdesk_assets.model.state import Unfinished
from helpdesk_assets.model.tickets import Page
from helpdesk_assets.spool import Spool

# Each time is a load job, of which BigQuery allows 1,500 a day for a table.
SAVE_EVERY = timedelta(minutes=2)
# What has ended meanwhile must still be told of by the helpdesk when the reading goes on, and the
# staging table must outlive that reading.
GOES_ON_WITHIN = timedelta(days=3)


class Store(Protocol):
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

    def note(self, unfinished: Unfinished, seen_version: int) -> None:
        """Raises:
        AnotherWriter: the state row is no longer the one of `seen_version`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a reading is kept: where, and how often."""

    store: Store
    every: timedelta = SAVE_EVERY
    timer: Callable[[], float] = time.monotonic
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class Saving:
    """The saving of one batch. `plan`: what is being read, and would be gone on with."""

    def __init__(
        self,
        keeping: Keeping | None,
        plan: Plan,
        *,
        provider: str,
        batch_id: str,
        spool: Spool,
        writer: BatchWriter,
    ) -> None:
        """`keeping` None: nothing is kept, as for a range that somebody asks for."""
        self._keeping = keeping
        self.plan = plan
        self._provider = provider
        own = batch_staging_name(batch_id)
        self.staging = plan.unfinished.staging if plan.unfinished else own
        self._spool = spool
        self._writer = writer
        self._due = keeping.timer() + keeping.every.total_seconds() if keeping else 0.0
        # With something stored, the batch is the staging table, however small the rest.
        self.is_begun = plan.unfinished is not None

    def after(self, page: Page) -> None:
        """The page is in the spool; save when it is time."""
        keeping = self._keeping
        if keeping is None or page.resume is None or not self._spool.rows:
            return
        if keeping.timer() < self._due:
            return
        if not self.is_begun:
            # Only now: were it made again later on, the rows before would be missing in silence.
            keeping.store.begin(self.staging)
            self.is_begun = True
        keeping.store.add_rows(self._spool, self.staging)
        keeping.store.note(self._unfinished(page.resume, page), self.plan.seen_version)
        self._spool.clear()
        self._writer.versions = None
        self._due = keeping.timer() + keeping.every.total_seconds()

    def finish(self) -> None:
        """All has been read: the rest joins what is stored, where anything is."""
        if self._keeping is not None and self.is_begun and self._spool.rows:
            self._keeping.store.add_rows(self._spool, self.staging)
            self._spool.clear()

    def _unfinished(self, resume: str, page: Page) -> Unfinished:
        writer, plan = self._writer, self.plan
        clock = self._keeping.clock if self._keeping else (lambda: page.served_at)
        return Unfinished(
            provider=self._provider,
            staging=self.staging,
            resume=resume,
            saved_at=clock(),
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
