"""The window that a run fetches, and whether it may move the watermark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import UserError
from helpdesk_assets.extract.plan import Plan, RequestedMode, SyncRequest, plan_run
from helpdesk_assets.model.batch import Mode, NewestSeen
from helpdesk_assets.model.state import ReadCounts, SyncState
from helpdesk_assets.providers.base import Capabilities

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)


def capabilities(
    *, resolution: timedelta = timedelta(seconds=1), minimum_overlap: timedelta = timedelta(0)
) -> Capabilities:
    return Capabilities(
        name="test",
        page_size=100,
        time_resolution=resolution,
        result_cap=None,
        settle_delay=timedelta(0),
        list_rows_are_complete=True,
        listing_is_stable=False,
        minimum_overlap=minimum_overlap,
    )


def plan(
    state: SyncState | None,
    sync_request: SyncRequest | None = None,
    *,
    adopted: datetime | None = None,
    overlap: timedelta = FIVE_MINUTES,
    can: Capabilities | None = None,
) -> Plan:
    return plan_run(
        state,
        sync_request or SyncRequest(),
        adopted=adopted,
        overlap=overlap,
        capabilities=can or capabilities(),
    )


UP_TO_DATE = NewestSeen(NOON, NOON - timedelta(days=1))


def state(
    watermark: datetime | None = NOON,
    cursor: str | None = None,
    newest: NewestSeen | None = UP_TO_DATE,
) -> SyncState:
    read_counts = ReadCounts(newest=newest)
    return SyncState("tickets", watermark, version=7, cursor=cursor, read_counts=read_counts)


def minutes_ago(minutes: float, seconds: float = 0) -> datetime:
    return NOON - timedelta(minutes=minutes, seconds=-seconds)


def test_without_state_a_full_first_load_is_planned() -> None:
    made = plan(None)
    assert (made.mode, made.since, made.advances_watermark) == (Mode.FULL, None, True)
    assert made.first_load
    assert made.expected_version == 0


def test_window_reaches_back_by_the_overlap() -> None:
    made = plan(state(cursor="c1"))
    assert (made.mode, made.since) == (Mode.INCREMENTAL, NOON - FIVE_MINUTES)
    assert made.advances_watermark
    assert not made.first_load
    assert (made.expected_version, made.initial_watermark, made.cursor) == (7, NOON, "c1")


@pytest.mark.parametrize(
    ("newest", "since"),
    [
        # The clock of tickets is at least there, and what is dated shortly before may come late.
        (NewestSeen(minutes_ago(30), minutes_ago(0)), minutes_ago(35)),
        (NewestSeen(minutes_ago(30), minutes_ago(4)), minutes_ago(35)),
        # It has been read once more since: nothing dated up to it is to come.
        (NewestSeen(minutes_ago(30), minutes_ago(5)), minutes_ago(30, seconds=1)),
        # Within the overlap, that decides.
        (NewestSeen(minutes_ago(2), minutes_ago(0)), minutes_ago(7)),
        (NewestSeen(minutes_ago(2), minutes_ago(5)), minutes_ago(5)),
        # A helpdesk without changes for a day, and one whose tickets have never been seen.
        (NewestSeen(minutes_ago(1440), minutes_ago(1440)), minutes_ago(65)),
        (None, minutes_ago(65)),
    ],
)
def test_window_begins_where_the_tickets_clock_is_known(
    newest: NewestSeen | None, since: datetime
) -> None:
    made = plan(state(newest=newest))
    assert made.since == since
    assert made.clock_reached == NOON - FIVE_MINUTES


def test_adopted_table_needs_no_more_than_the_overlap() -> None:
    assert plan(None, adopted=NOON).since == NOON - FIVE_MINUTES


@pytest.mark.parametrize(
    ("can", "lookback"),
    [
        (capabilities(minimum_overlap=timedelta(minutes=10)), timedelta(minutes=10)),
        (capabilities(resolution=timedelta(minutes=1)), timedelta(minutes=1)),
    ],
)
def test_helpdesk_may_need_more_overlap_than_configured(
    can: Capabilities, lookback: timedelta
) -> None:
    old = NewestSeen(NOON, NOON - timedelta(days=1))
    assert plan(state(newest=old), overlap=timedelta(0), can=can).since == NOON - lookback


def test_existing_table_is_adopted_from_its_newest_row() -> None:
    made = plan(None, adopted=NOON)
    assert (made.mode, made.since) == (Mode.INCREMENTAL, NOON - FIVE_MINUTES)
    assert not made.first_load
    assert made.expected_version == 0


def test_state_without_watermark_is_loaded_again() -> None:
    """A first load by the listing leaves such a state, since it may be incomplete."""
    made = plan(state(watermark=None))
    assert (made.mode, made.since, made.expected_version) == (Mode.FULL, None, 7)
    assert made.first_load


def test_requested_full_run_is_no_first_load() -> None:
    made = plan(state(), SyncRequest(requested_mode=RequestedMode.FULL))
    assert (made.mode, made.since, made.advances_watermark) == (Mode.FULL, None, True)
    assert not made.first_load


def test_requested_incremental_run_needs_a_watermark() -> None:
    with pytest.raises(UserError, match="no watermark yet"):
        plan(None, SyncRequest(requested_mode=RequestedMode.INCREMENTAL))


def test_range_is_read_as_given_without_advancing_the_watermark() -> None:
    sync_request = SyncRequest(since=NOON - timedelta(days=3), until=NOON - timedelta(days=2))
    made = plan(state(), sync_request)
    assert (made.since, made.until) == (sync_request.since, sync_request.until)
    assert made.is_range
    assert not made.advances_watermark


@pytest.mark.parametrize(
    ("sync_request", "message"),
    [
        (SyncRequest(since=NOON, until=NOON - timedelta(seconds=1)), "begins after it ends"),
        (SyncRequest(requested_mode=RequestedMode.FULL, since=NOON), "reads everything"),
    ],
)
def test_contradictory_options_are_rejected(sync_request: SyncRequest, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(state(), sync_request)


def test_range_without_zone_is_rejected() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        plan(state(), SyncRequest(since=datetime(2026, 11, 1)))  # noqa: DTZ001
