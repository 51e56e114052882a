"""The guards behind the promises, and ways to turn each of them off.

The replacement of a guard is what somebody might write who is not aware of the problem. Nothing
else changes, so that a scenario which then fails does so for lack of this guard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from helpdesk_assets.providers.client import http
from helpdesk_assets.providers.rest import adapter
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge import statement
from helpdesk_assets.warehouse.merge.newer_wins import NewerWins
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

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
    """The watermark moves before the tickets are merged."""
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


GUARDS: Mapping[str, Callable[[], list[Change]]] = {
    "stale-write guard": _stale_writes,
    "equal-time hash": _equal_times,
    "dedupe": _dedupe,
    "watermark after merge": _watermark_after_merge,
    "own watermark instead of MAX": _own_watermark,
    "missed before merge": _missed_before_merge,
    "window end by the helpdesk's clock": _clock_of_the_helpdesk,
    "listing-cut guard": _listing_cut,
}


def turn_off(names: Iterable[str]) -> list[Change]:
    """Turn guards off for the rest of this process; returns the replaced attributes."""
    before: list[Change] = []
    for name in names:
        for place, attribute, other in GUARDS[name]():
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
