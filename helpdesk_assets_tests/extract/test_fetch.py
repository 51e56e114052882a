"""Fetching one window into a batch, and failures of the change endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    RateLimitExhausted,
    TicketUnreadable,
)
from helpdesk_assets.extract.fetch import Batch, BatchFetcher
from helpdesk_assets.extract.plan import Plan
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Mode, NewestSeen
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.spool import Spool
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, FakeHelpdesk, page, ticket

INCREMENTAL = Plan(
    mode=Mode.INCREMENTAL,
    reason="changes since the watermark",
    since=NOON - timedelta(hours=2),
    until=None,
    cursor=None,
    advances_watermark=True,
    first_load=False,
    expected_version=3,
    initial_watermark=NOON - timedelta(hours=1),
    clock_reached=NOON - timedelta(hours=2),
)


class Read(Protocol):
    def __call__(
        self, helpdesk: FakeHelpdesk, plan: Plan = ..., *, small_bytes: int = ...
    ) -> Batch: ...


@pytest.fixture
def read() -> Iterator[Read]:
    with ExitStack() as spools:

        def run(
            helpdesk: FakeHelpdesk, plan: Plan = INCREMENTAL, *, small_bytes: int = 1_000_000
        ) -> Batch:
            fetch = BatchFetcher(
                helpdesk,
                spools.enter_context(Spool(small_bytes)),
                run_id="run-1",
                now=lambda: datetime(2026, 11, 1, 13, 30, tzinfo=UTC),
            )
            return fetch.run(plan)

        yield run


def test_rows_are_spooled_whole_and_in_order(read: Read) -> None:
    batch = read(FakeHelpdesk([page(ticket("1", 60), ticket("2", 30)), page(ticket("3", 10))]))
    rows = [json.loads(line) for line in batch.spool.lines()]
    assert [(row["ticket_id"], row["_seq"]) for row in rows] == [("1", 0), ("2", 1), ("3", 2)]
    assert rows[0]["modifiedTime"] == "2026-11-01T11:00:00Z"
    assert rows[0]["raw_json"] == {"id": "1", "body": "x"}
    assert rows[0]["_run_id"] == "run-1"
    assert rows[0]["_batch_id"] == batch.manifest.batch_id


def test_manifest_states_coverage(read: Read) -> None:
    helpdesk = FakeHelpdesk([page(ticket("1", 60)), page(ticket("2", 10))])
    manifest = read(helpdesk).manifest
    assert (manifest.rows, manifest.pages, manifest.api.calls) == (2, 2, 2)
    assert manifest.window.since == INCREMENTAL.since
    assert manifest.window.until == NOON
    assert manifest.expected_version == 3
    assert manifest.advances_watermark
    assert (manifest.lag_p50, manifest.lag_max) == (3600.0, 3600.0)
    assert manifest.created_months == (NOON.replace(day=1, hour=0, minute=0, second=0),)
    assert manifest.oldest_modified == NOON - timedelta(hours=1)


def test_small_batch_lists_versions_and_large_one_its_staging(read: Read) -> None:
    pages = [page(ticket("1")), page(ticket("2"))]
    small = read(FakeHelpdesk(pages)).manifest
    assert small.staging is None
    assert [version.ticket_id for version in small.versions or ()] == ["1", "2"]
    large = read(FakeHelpdesk(pages), small_bytes=200).manifest
    assert large.versions is None
    assert large.staging == "raw_ticket_changes__stg_20261101T133000Z_run1_0"


def test_ticket_without_created_time_disables_partition_pruning(read: Read) -> None:
    manifest = read(FakeHelpdesk([page(ticket("1"), ticket("2", created=None))])).manifest
    assert manifest.created_months is None


def test_no_changes_give_an_empty_batch(read: Read) -> None:
    manifest = read(FakeHelpdesk([page()])).manifest
    assert (manifest.rows, manifest.pages, manifest.versions) == (0, 1, ())
    assert manifest.advances_watermark


def test_failing_change_endpoint_falls_back_without_advancing_the_watermark(read: Read) -> None:
    helpdesk = FakeHelpdesk(
        [page(ticket("1")), EndpointFailed("search answered 500.")],
        [page(ticket("1"), ticket("2"))],
    )
    manifest = read(helpdesk).manifest
    assert (manifest.mode, manifest.fallback, manifest.advances_watermark) == (
        Mode.FULL,
        True,
        False,
    )
    assert "search answered 500" in manifest.reason
    assert len(helpdesk.requested) == 1, "the change endpoint is not tried again"
    assert manifest.rows == 3


def test_listing_with_stable_order_advances_the_watermark(read: Read) -> None:
    helpdesk = FakeHelpdesk([EndpointFailed("no")], [page(ticket("1"))], stable=True)
    assert read(helpdesk).manifest.advances_watermark


def test_truncated_listing_fails_the_run(read: Read) -> None:
    helpdesk = FakeHelpdesk(
        [EndpointFailed("no")], [page(ticket("1")), EndpointFailed("listing was cut")]
    )
    with pytest.raises(EndpointFailed, match="listing was cut"):
        read(helpdesk)


@pytest.mark.parametrize(
    "error",
    [CredentialsRefused("401"), TicketUnreadable("no id"), RateLimitExhausted("no call for 301 s")],
)
def test_errors_the_listing_cannot_avoid_end_the_run(read: Read, error: Exception) -> None:
    helpdesk = FakeHelpdesk([error], [page(ticket("1"))])
    with pytest.raises(type(error)):
        read(helpdesk)


def test_unreadable_range_does_not_fall_back(read: Read) -> None:
    helpdesk = FakeHelpdesk([EndpointFailed("no")], [page(ticket("1"))])
    with pytest.raises(EndpointFailed):
        read(helpdesk, replace(INCREMENTAL, is_range=True, advances_watermark=False))


def test_helpdesk_clock_behind_the_watermark_causes_a_full_read(
    read: Read,
) -> None:
    early = NOON - timedelta(hours=3)
    helpdesk = FakeHelpdesk(
        [page(until=early, served_at=early)],
        second_changes_script=[page(ticket("1", 200), until=early, served_at=early)],
    )
    manifest = read(helpdesk).manifest
    assert [since for since, _, _ in helpdesk.requested] == [INCREMENTAL.since, None]
    assert (manifest.mode, manifest.rows) == (Mode.FULL, 1)


def test_clock_ahead_of_ours_does_not_end_the_window(read: Read) -> None:
    """The first answer's clock was an hour ahead, and the tickets' was not."""
    ahead = NOON + timedelta(hours=1)
    helpdesk = FakeHelpdesk([page(ticket("1", 30), until=ahead)], clock_lead=timedelta(hours=1))
    assert read(helpdesk).manifest.window.until == NOON


def test_newer_ticket_shows_that_ours_is_wrong(read: Read) -> None:
    """Otherwise a machine that is days behind would read days of changes in each run."""
    helpdesk = FakeHelpdesk([page(ticket("1", 30))], clock_lead=timedelta(days=2))
    assert read(helpdesk).manifest.window.until == NOON - timedelta(minutes=30)


def test_clock_behind_ours_causes_no_full_read(read: Read) -> None:
    """Ours was set back by days: the watermark is ahead of it, and the helpdesk's clock is not."""
    helpdesk = FakeHelpdesk([page()], clock_lead=timedelta(days=2))
    manifest = read(helpdesk).manifest
    assert (manifest.mode, manifest.window.until) == (Mode.INCREMENTAL, INCREMENTAL.since)


@pytest.mark.parametrize(
    ("lag", "known_at"), [(timedelta(0), NOON - timedelta(minutes=30)), (timedelta(days=9), NOON)]
)
def test_newest_change_is_remembered(read: Read, lag: timedelta, known_at: datetime) -> None:
    """Its age is known only if the helpdesk's clock agrees with ours. Times of 2099 prove nothing.

    A change that an earlier run has seen stays as it was.
    """
    odd = replace(ticket("3"), modified_time=NOON + timedelta(days=9999))
    helpdesk = FakeHelpdesk([page(ticket("1", 40), ticket("2", 30), odd)], clock_lag=lag)
    newest = NewestSeen(NOON - timedelta(minutes=30), known_at)
    assert read(helpdesk).manifest.newest == newest
    before = NewestSeen(NOON - timedelta(minutes=30), NOON - timedelta(minutes=9))
    assert read(helpdesk, replace(INCREMENTAL, newest=before)).manifest.newest == before


def test_read_that_may_have_skipped_tickets_proves_nothing(read: Read) -> None:
    helpdesk = FakeHelpdesk([EndpointFailed("503")], [page(ticket("1", 30))])
    assert read(helpdesk).manifest.newest is None


def test_bad_tickets_are_counted_and_the_first_ones_named(read: Read) -> None:
    bad = tuple(BadTicket(str(n), "modifiedTime", "no time") for n in range(30))
    manifest = read(FakeHelpdesk([replace(page(), bad=bad), replace(page(), bad=bad)])).manifest
    assert manifest.bad_count == 60
    assert len(manifest.bad) == 20


def test_progress_is_reported_after_every_page() -> None:
    progress: list[Progress] = []
    helpdesk = FakeHelpdesk([page(ticket("1", 60)), page(ticket("2", 30))])
    with Spool(1000) as spool:
        BatchFetcher(helpdesk, spool, run_id="r", on_page=progress.append).run(INCREMENTAL)
    assert [(step.rows, step.pages) for step in progress] == [(1, 1), (2, 2)]
    assert progress[-1].reached == NOON - timedelta(minutes=30)


def test_lag_percentiles_of_a_large_batch_are_sampled(read: Read) -> None:
    many = [page(*(ticket(str(n), n / 60) for n in range(k, k + 100))) for k in range(0, 9000, 100)]
    manifest = read(FakeHelpdesk(many), small_bytes=100).manifest
    assert manifest.lag_p50 == pytest.approx(4500, rel=0.1)
    assert manifest.lag_p95 == pytest.approx(8550, rel=0.05)
