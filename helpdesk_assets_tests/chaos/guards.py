"""The guards behind the promises, and ways to turn each of them off.

The replacement of a guard is what somebody might write who is not aware of the problem. Nothing
else changes, so that a scenario which then fails does so for lack of this guard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from helpdesk_assets.extract.fetch import BatchFetcher
from helpdesk_assets.operations import planning, sync
from helpdesk_assets.operations.account import account_of
from helpdesk_assets.providers.client import http
from helpdesk_assets.providers.rest import adapter
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge import statement
from helpdesk_assets.warehouse.merge.newer_wins import NewerWins
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import ground_counts, sync_state
from helpdesk_assets.warehouse.stores import state as state_store
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.stores.writer_lease import WriterLease

# Where a guard is, its name there, and what stands in its place.
Change = tuple[Any, str, Any]


def _stale_writes() -> list[Change]:
    """The last write wins."""

    def when_matched(self: NewerWins) -> str:
        whole = "NOT S.`_tombstone`" if self.has_tombstones else "TRUE"
        return f"WHEN MATCHED AND {whole} THEN" + guarded(self).split("THEN", 1)[1]

    guarded = NewerWins._when_content_is_newer
    return [(NewerWins, "_when_content_is_newer", when_matched)]


def _equal_times() -> list[Change]:
    """Of two versions with the same second, the first wins."""
    return [(tables, "TICKETS", replace(tables.TICKETS, content_hash_column=None))]


def _dedupe() -> list[Change]:
    """Rows are merged without deduplication."""

    def as_they_came(*arguments: Any) -> str:
        # The source's own deduplication stays.
        return guarded(*arguments).rpartition("QUALIFY")[0]

    guarded = statement._deduplicated
    return [(statement, "_deduplicated", as_they_came)]


def _watermark_after_merge() -> list[Change]:
    """The watermark moves before the tickets are merged, and so without a proof that they are."""
    missed, tickets = SyncTables.merge_missed, SyncTables.merge_tickets
    policies: list[Any] = []

    def merge_missed(self: Any, manifest: Any, webhooks: Any) -> Any:
        policies.append(webhooks)
        return missed(self, manifest, webhooks)

    def merge_tickets(self: Any, manifest: Any) -> Any:
        self.commit_run(replace(manifest, staging=None), policies[-1])
        return tickets(self, manifest)

    return [
        (SyncTables, "merge_missed", merge_missed),
        (SyncTables, "merge_tickets", merge_tickets),
        *_whole_batch(),
    ]


def _own_watermark() -> list[Change]:
    """The newest modified time in the tickets table is the watermark."""
    own = SyncTables.read_state

    def read_state(self: Any) -> Any:
        state = own(self)
        if state is None or state.watermark is None:
            return state
        times = (row["modifiedTime"] for row in self._client.list_rows("tickets"))
        newest = max(at for at in times if at is not None)
        return replace(state, watermark=newest)

    return [(SyncTables, "read_state", read_state)]


def _missed_before_merge() -> list[Change]:
    """Missed updates are searched after the merge into the table."""
    missed = SyncTables.merge_missed

    def merge_missed(self: Any, manifest: Any, webhooks: Any) -> Any:
        self.merge_tickets(manifest)
        return missed(self, manifest, webhooks)

    return [(SyncTables, "merge_missed", merge_missed)]


def _clock_of_the_helpdesk() -> list[Change]:
    """A window ends at this machine's time."""
    return [(http.Api, "_server_time", lambda self, _: self._now())]


def _listing_cut() -> list[Change]:
    """A page that is not full counts as the last one."""
    whole = adapter.RestAdapter._get_page

    def page(self: Any, *asked: Any) -> Any:
        answer = whole(self, *asked)
        is_full = len(answer.rows) >= self._capabilities.page_size
        return answer if is_full else replace(answer, next_token=None)

    return [(adapter.RestAdapter, "_get_page", page)]


def _ground() -> list[Change]:
    """A run reads from its watermark on, whatever has become of its tables."""
    return [(planning, "full_load_reason", lambda *_: None)]


def _versions_behind() -> list[Change]:
    """A closing run counts rows, and not how old they are."""
    return [(ground_counts, "behind", lambda *_: Query("SELECT 0 AS behind"))]


def _account() -> list[Change]:
    """Any account may write into any dataset."""
    return [(sync, "check_account", lambda _, capabilities: account_of(capabilities))]


def _whole_batch() -> list[Change]:
    """The watermark moves, whatever has become of the batch."""

    def unproven(*arguments: Any, **options: Any) -> Query:
        query = guarded(*arguments, **options)
        return replace(query, sql=query.sql.replace("\n  WHERE F.is_whole", ""))

    guarded = sync_state.commit_statement
    return [(state_store, "commit_statement", unproven)]


def _revival() -> list[Change]:
    """Only a newer version brings back a ticket that was taken for deleted."""
    guarded = NewerWins._alive_tests
    return [(NewerWins, "_alive_tests", lambda self: guarded(self)[:1])]


def _later_reading() -> list[Change]:
    """Of two versions with the same second, the one written last wins."""
    return [(NewerWins, "_is_later", lambda *_: "")]


def _repeated_rows() -> list[Change]:
    """Rows that a run counts twice are only reported."""
    return [(sync, "heal_repeated_rows", lambda _warehouse, _manifest, counted: counted)]


def _clock_bound() -> list[Change]:
    """A window ends where the helpdesk's answer says, whatever our clock says."""
    return [(BatchFetcher, "_covered_until", lambda _self, _plan, last: last.until)]


def _one_writer() -> list[Change]:
    """Everybody writes when they like."""

    @contextmanager
    def hold(*_: Any, **__: Any) -> Iterator[None]:
        yield

    return [(WriterLease, "hold", hold), (WriterLease, "check", lambda _self: None)]


class Guard(NamedTuple):
    """A guard: the trouble that it stands against, and what turns it off."""

    trouble: str
    turned_off: Callable[[], list[Change]]


GUARDS: Mapping[str, Guard] = {
    "stale-write guard": Guard("stale", _stale_writes),
    "equal-time hash": Guard("twice", _equal_times),
    "dedupe": Guard("repeated", _dedupe),
    "watermark after merge": Guard("failed", _watermark_after_merge),
    "own watermark instead of MAX": Guard("hidden", _own_watermark),
    "missed before merge": Guard("missed", _missed_before_merge),
    "window end by the helpdesk's clock": Guard("clocks", _clock_of_the_helpdesk),
    "listing-cut guard": Guard("cut", _listing_cut),
    "ground of the watermark": Guard("lost", _ground),
    "versions behind": Guard("put back", _versions_behind),
    "one account": Guard("other account", _account),
    "whole batch": Guard("old batch", _whole_batch),
    "revival": Guard("in the trash", _revival),
    "later reading": Guard("held", _later_reading),
    "repeated rows": Guard("doubled", _repeated_rows),
    "bound of a clock ahead": Guard("clocks", _clock_bound),
    "one writer": Guard("two writers", _one_writer),
}


def turn_off(names: Iterable[str]) -> list[Change]:
    """Turn guards off for the rest of this process; returns the replaced attributes."""
    before: list[Change] = []
    for name in names:
        for place, attribute, other in GUARDS[name].turned_off():
            before.append((place, attribute, getattr(place, attribute)))
            setattr(place, attribute, other)
    return before


@contextmanager
def without(name: str) -> Iterator[None]:
    """Turn one guard off inside the block."""
    before = turn_off([name])
    try:
        yield
    finally:
        for place, attribute, guarded in before:
            setattr(place, attribute, guarded)
