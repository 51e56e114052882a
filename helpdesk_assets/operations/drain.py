"""Merge the webhook events that wait: what a receiver has appended, and nobody has merged yet.

Events that bring their ticket are merged as they are, the tickets of hints are fetched by id, each
once. Then what became of each event is appended. A crash in between repeats the merge, which the
guards make harmless; an event without an outcome is never lost. Must not know Dagster, a vendor or
BigQuery.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import DataRefused, FirstSyncNeeded, HelpdeskAssetsError
from helpdesk_assets.model.webhook_events import Outcome, ReadTicket, WebhookEvent
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.event_chunks import chunks
from helpdesk_assets.operations.event_verdicts import (
    EventClocks,
    Verdict,
    after_merge,
    needs_fetch,
    told_ids,
    verdicts,
    with_known,
)
from helpdesk_assets.operations.newest_versions import newest_versions
from helpdesk_assets.operations.readiness import expect_ready
from helpdesk_assets.operations.ticket_fetch import TicketFetch
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import MIN_LISTING_DELAY, Settings
from helpdesk_assets.warehouse.base import Warehouse

log = logging.getLogger(__name__)

# How far back each kind of drain looks. A vendor sends an event again within a day, or gives up
# within a week; the sync's drain reads all that is stored.
EVERYTHING = timedelta(days=35)
# Statements more than one per chunk, to single out the tickets that BigQuery refuses.
MAX_SPLITS = 64
MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    """How much one drain does.

    A sync drains first, so the fetches are bounded: the sync's own window brings the same changes,
    in pages of hundreds.

    Attributes:
        concurrency: concurrent calls; the adapter may allow fewer.
        listing_delay: how long the helpdesk may take to show a new ticket.
        most_fetches: tickets fetched by one drain; the others wait for the next.
        longest_fetch: time for these.
        chunk_events: events merged at a time.
        chunk_bytes: about the size of the tickets that they bring.
    """

    concurrency: int = 8
    listing_delay: timedelta = MIN_LISTING_DELAY
    most_fetches: int = 1_000
    longest_fetch: timedelta = timedelta(seconds=60)
    chunk_events: int = 5_000
    chunk_bytes: int = 4_000_000

    @classmethod
    def from_settings(cls, settings: Settings) -> DrainPolicy:
        """Take the policy from settings."""
        return cls(settings.helpdesk_concurrency, settings.listing_delay)


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What one drain did. All but `fetched` and `chunks` count events.

    Attributes:
        waiting: events that had no outcome.
        oldest: when the first of them arrived.
        merged: tickets has what they brought, or something newer.
        unknown: their ticket does not exist, or nothing but the event says so.
        not_stored: their ticket cannot be stored.
        left: those that still wait.
        fetched: tickets that the helpdesk was asked for and answered.
        chunks: statements that merged.
        problems: some of the reasons of `not_stored`.
        error: what keeps events waiting, if anything but time does.
        seconds: how long it took.
    """

    waiting: int = 0
    oldest: datetime | None = None
    merged: int = 0
    unknown: int = 0
    not_stored: int = 0
    left: int = 0
    fetched: int = 0
    chunks: int = 0
    problems: tuple[str, ...] = ()
    error: HelpdeskAssetsError | None = None
    seconds: float = 0.0


def may_wait(warehouse: Warehouse, *, everything: bool) -> bool:
    """Return whether any event may wait, by the tables' metadata; costs no query job."""
    if not warehouse.has_webhook_events():
        return False
    mark = warehouse.events_mark()
    if mark is None:
        return True
    drained = [_drained(mark, everything=True), _drained(mark, everything=everything)]
    return warehouse.drained_mark() not in drained


def drain(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    *,
    run_id: str,
    everything: bool,
    policy: DrainPolicy,
    wait: timedelta | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> DrainReport:
    """Merge the events that wait, in order of arrival. Doing it again changes nothing.

    Args:
        helpdesk: where the tickets of hints come from.
        warehouse: where the events are, and where they go.
        run_id: names the run in tickets and in the outcomes.
        everything: look at all events that are stored; else at those since yesterday.
        policy: how much is done.
        wait: how long another writer is waited for; None: as long as a sync waits.
        now: this machine's clock.
        monotonic: seconds, for the report and the time for fetches.

    Raises:
        WriterBusy: another one writes tickets, and had not finished when the wait was over.
        AccountMismatch: the dataset holds the tickets of another account.
        FirstSyncNeeded: the table tickets is lost, or not yet taken over by a sync.
        WarehouseRefused: the dataset would not take or keep what the drain writes.
        HelpdeskAssetsError: the warehouse failed. Chunks merged before stay.
    """
    if not may_wait(warehouse, everything=everything):
        return DrainReport()
    # Fetches included: two drains at once would fetch the same tickets twice.
    with warehouse.lease("webhooks", run_id=run_id, wait=wait):
        one = _Drain(helpdesk, warehouse, run_id, policy, now, monotonic)
        return one.run(everything=everything)


class _Drain:
    """One drain, chunk after chunk."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        warehouse: Warehouse,
        run_id: str,
        policy: DrainPolicy,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._helpdesk = helpdesk
        self._warehouse = warehouse
        self._run_id = run_id
        self._policy = policy
        self._now = now
        self._monotonic = monotonic
        self._report = DrainReport()
        self._splits = MAX_SPLITS
        self._fetch = TicketFetch(
            helpdesk,
            concurrency=policy.concurrency,
            most=policy.most_fetches,
            longest=policy.longest_fetch,
            now=now,
            monotonic=monotonic,
        )

    def run(self, *, everything: bool) -> DrainReport:
        """Drain, and note by the tables' metadata that nothing waits if so."""
        started = self._monotonic()
        mark = self._warehouse.events_mark()
        since = self._now() - EVERYTHING if everything else _yesterday(self._now())
        pending = self._warehouse.pending_events(since, run_id=self._run_id)
        policy = self._policy
        in_chunks = chunks(pending, policy.chunk_events, policy.chunk_bytes)
        for number, chunk in enumerate(in_chunks):
            if number == 0:
                self._begin()
            self._merge(chunk)
        if mark is not None and not self._report.left:
            self._warehouse.note_drained(_drained(mark, everything=everything))
        return replace(
            self._report,
            fetched=self._fetch.fetched,
            error=self._report.error or self._fetch.error,
            seconds=self._monotonic() - started,
        )

    def _begin(self) -> None:
        """Refuse a dataset of another account, and a table that a sync has to make or adopt.

        An empty table in the place of a lost one would look whole to whoever reads it.
        """
        warehouse = self._warehouse
        account = check_account(warehouse, self._helpdesk.capabilities)
        if warehouse.has_closed():
            if warehouse.ground().tickets is None:
                raise FirstSyncNeeded(
                    f"Table tickets of {warehouse.dataset_name} is gone, though a sync had filled "
                    "it. Run `helpdesk-assets sync`, which makes it again and reads every ticket; "
                    "the waiting webhooks are merged after that."
                )
        elif warehouse.adopted_until() is not None:
            raise FirstSyncNeeded(
                f"Table tickets of {warehouse.dataset_name} is one of an older sync. Run "
                "`helpdesk-assets sync`, which takes it over; the waiting webhooks are merged "
                "after that."
            )
        expect_ready(warehouse, warehouse.read_state(), run_id=self._run_id)
        warehouse.prepare(account.digest)

    def _merge(self, events: Sequence[WebhookEvent]) -> None:
        """Merge one chunk, then record what became of its events."""
        # The newest first: tickets that always fail are the oldest, and some of them in a row look
        # like an outage, which ends the fetching.
        answers = self._fetch.fetch(
            each.ticket_id for each in reversed(events) if needs_fetch(each)
        )
        clocks = EventClocks(self._now(), self._helpdesk.served_at, self._policy.listing_delay)
        found = verdicts(events, answers, clocks)
        told = told_ids(found)
        known = self._warehouse.known_tickets(told, run_id=self._run_id) if told else frozenset()
        settled = with_known(found, told - known)
        refused = self._merge_versions(
            newest_versions(each.read for each in settled if each.read is not None)
        )
        settled = [after_merge(each, refused) for each in settled]
        merged_at = self._now()
        outcomes = (each.to_outcome(merged_at, self._run_id) for each in settled)
        self._warehouse.record_outcomes([each for each in outcomes if each is not None])
        self._count(settled)

    def _merge_versions(self, read: Sequence[ReadTicket]) -> dict[str, str | None]:
        """Merge the versions; return the tickets that were not, each with the reason.

        One ticket that BigQuery refuses fails its whole statement. It must not keep the others from
        being merged, so the parts are halved until it is alone. A reason None: not tried alone.
        """
        if not read:
            return {}
        try:
            self._warehouse.merge_webhooks(read, run_id=self._run_id)
        except DataRefused as error:
            if len(read) == 1:
                return {read[0].ticket.ticket_id: str(error)}
            if self._splits <= 0:
                self._report = replace(self._report, error=self._report.error or error)
                return {each.ticket.ticket_id: None for each in read}
            self._splits -= 1
            half = len(read) // 2
            return self._merge_versions(read[:half]) | self._merge_versions(read[half:])
        self._report = replace(self._report, chunks=self._report.chunks + 1)
        return {}

    def _count(self, settled: Sequence[Verdict]) -> None:
        report, outcomes = self._report, [each.outcome for each in settled]
        arrived = [each.event.received_at for each in settled]
        reasons = [
            f"Ticket {each.event.ticket_id}: {each.reason}"
            for each in settled
            if each.outcome is Outcome.NOT_STORED
        ]
        self._report = replace(
            report,
            waiting=report.waiting + len(settled),
            oldest=min([*arrived, *([report.oldest] if report.oldest else [])]),
            merged=report.merged + outcomes.count(Outcome.MERGED),
            unknown=report.unknown + outcomes.count(Outcome.UNKNOWN_TICKET),
            not_stored=report.not_stored + outcomes.count(Outcome.NOT_STORED),
            left=report.left + outcomes.count(None),
            problems=(*report.problems, *reasons)[:MAX_NAMED],
        )


def _drained(mark: str, *, everything: bool) -> str:
    """Return the note that nothing waits. That none of yesterday waits says nothing of others."""
    return f"{'all' if everything else 'new'}-{mark}"


def _yesterday(now: datetime) -> datetime:
    """Return the start of yesterday, UTC, which is the start of a partition."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=1)
