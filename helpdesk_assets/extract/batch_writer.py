"""Collect what a run fetches: rows go to the spool, small facts stay in memory.

Rows leave memory page by page. Kept is what later steps need: the versions of a small batch, the
months of creation, how late changes were seen, and counts. Must not know where rows come from
or go to.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta

import orjson

from helpdesk_assets.model.batch import Version
from helpdesk_assets.model.state import Checkpoint
from helpdesk_assets.model.tickets import BadTicket, Page, Ticket
from helpdesk_assets.providers.parsing.turns import COMPUTING
from helpdesk_assets.spool import Spool

# Percentiles of a random sample of this size are accurate to a percent for any batch.
LAG_SAMPLE = 4096
MAX_NAMED_BAD_TICKETS = 20
# The state row remembers as many. Those of a quiet hour are a handful.
MAX_DIGESTS = 1_000
# More are no helpdesk's history.
MAX_MONTHS = 1_200
# The clocks of a helpdesk's servers may differ.
FUTURE_TOLERANCE = timedelta(minutes=15)


class BatchWriter:
    """Feeds pages into a spool of raw_ticket_changes rows. One object per run."""

    def __init__(
        self,
        spool: Spool,
        *,
        run_id: str,
        batch_id: str,
        rng: random.Random,
        first_seq: int = 0,
        previous: Checkpoint | None = None,
    ) -> None:
        """Start a batch, or continue one that was interrupted.

        Args:
            spool: takes the rows.
            run_id: written into every row.
            batch_id: written into every row.
            rng: chooses the sample of lags.
            first_seq: `_seq` of the first row; greater than any in `previous`.
            previous: checkpoint of the same batch.
        """
        self._spool = spool
        self._run_id = run_id
        self._batch_id = batch_id
        self._rng = rng
        self._lags: list[float] = []
        self.versions: list[Version] | None = [] if previous is None else None
        self._digests: list[str] = []
        self._created: set[tuple[int, int]] | None = set()
        # What an earlier part of the batch holds is not known.
        self._has_old_times = previous is None
        self._oldest: datetime | None = None
        self.newest: datetime | None = None
        self.rows = previous.rows if previous else 0
        self.tombstones = previous.tombstones if previous else 0
        self.pages = previous.pages if previous else 0
        self.bad: list[BadTicket] = [*previous.bad] if previous else []
        self.bad_count = previous.bad_count if previous else 0
        self._next_seq = first_seq

    def add(self, page: Page) -> None:
        """Spool the page's tickets in their order."""
        with COMPUTING:
            rows = self._rows(page)
        self._spool.extend(rows)
        if not self._spool.is_small:
            self.versions = None
        self.pages += 1
        self.bad_count += len(page.bad)
        self.bad.extend(page.bad[: MAX_NAMED_BAD_TICKETS - len(self.bad)])

    def _rows(self, page: Page) -> list[bytes]:
        rows: list[bytes] = []
        for ticket in page.tickets:
            rows.append(self._row(ticket, page.served_at))
            self._track_created(ticket.created_time)
            self._track_oldest(ticket.modified_time, page.served_at)
            self._track_newest(ticket, page.until)
            self.tombstones += ticket.tombstone
            self._track_lag((page.served_at - ticket.modified_time).total_seconds())
            if self.versions is not None:
                self.versions.append(Version(ticket.ticket_id, ticket.content_hash))
                if len(self.versions) <= MAX_DIGESTS:
                    self._digests.append(_digest(ticket))
            self.rows += 1
            self._next_seq += 1
        return rows

    def created_months(self) -> tuple[datetime, ...] | None:
        """Return the months of creation; None if any ticket has none, or they are too many."""
        if self._created is None:
            return None
        return tuple(datetime(*month, 1, tzinfo=UTC) for month in sorted(self._created))

    @property
    def digests(self) -> tuple[str, ...]:
        """See `Manifest.digests`."""
        is_whole = self.versions is not None and len(self.versions) == len(self._digests)
        return tuple(self._digests) if is_whole else ()

    @property
    def oldest_modified(self) -> datetime | None:
        """See `Manifest.oldest_modified`."""
        return self._oldest if self._has_old_times else None

    def lag_percentiles(self) -> tuple[float, float, float]:
        """Return p50, p95 and maximum of the seconds from a change to its being read."""
        if not self._lags:
            return 0.0, 0.0, 0.0
        lags = sorted(self._lags)
        return lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 95 // 100)], lags[-1]

    def _row(self, ticket: Ticket, served_at: datetime) -> bytes:
        return orjson.dumps(
            {
                "ticket_id": ticket.ticket_id,
                "subject": ticket.subject,
                "status": ticket.status,
                "priority": ticket.priority,
                "assignee": ticket.assignee,
                "createdTime": ticket.created_time,
                "modifiedTime": ticket.modified_time,
                "deletedTime": _deleted_time(ticket, served_at),
                "_content_hash": ticket.content_hash,
                "_run_id": self._run_id,
                "_batch_id": self._batch_id,
                "_fetched_at": served_at,
                "_seq": self._next_seq,
                "_tombstone": ticket.tombstone,
                # JSON already; parsing it only to serialise it again would double the work.
                "raw_json": orjson.Fragment(ticket.raw_json),
            },
            option=orjson.OPT_UTC_Z,
        )

    def _track_created(self, created: datetime | None) -> None:
        if created is None or self._created is None:
            self._created = None
            return
        created = created.astimezone(UTC)
        self._created.add((created.year, created.month))
        if len(self._created) > MAX_MONTHS:
            self._created = None

    def _track_oldest(self, modified: datetime, served_at: datetime) -> None:
        """Remember the oldest change, if it says since when the version can have been stored.

        One that is dated later than the answer that has it may have been stored at any time.
        """
        if modified > served_at + FUTURE_TOLERANCE:
            self._has_old_times = False
        self._oldest = min(self._oldest or modified, modified)

    def _track_newest(self, ticket: Ticket, until: datetime) -> None:
        """Remember the newest change; one dated later than `until`, as in 2099, proves nothing."""
        for changed_at in (ticket.modified_time, ticket.deleted_time):
            if changed_at is not None and changed_at <= until:
                self.newest = max(self.newest or changed_at, changed_at)

    def _track_lag(self, lag: float) -> None:
        if len(self._lags) < LAG_SAMPLE:
            self._lags.append(lag)
            return
        index = self._rng.randrange(self.rows + 1)
        if index < LAG_SAMPLE:
            self._lags[index] = lag


def _digest(ticket: Ticket) -> str:
    """Return a digest of a version. A wrong match only costs a statement that closes no run."""
    key = f"{ticket.ticket_id}\0{ticket.content_hash}\0{ticket.modified_time.isoformat()}"
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _deleted_time(ticket: Ticket, served_at: datetime) -> datetime | None:
    """Return when a ticket was deleted, never later than the helpdesk's clock told of it.

    Nothing that happens to the ticket before a time in the future could undo such a deletion.
    """
    return ticket.deleted_time and min(ticket.deleted_time, served_at)
