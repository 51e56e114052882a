"""Which window a run reads, and whether it may move the watermark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import UserMistake
from helpdesk_assets.extract.plan import Ask, Options, Plan, plan_run
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState
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
        held_back=timedelta(0),
        lists_are_whole=True,
        listing_is_stable=False,
        minimum_overlap=minimum_overlap,
    )


def plan(
    state: SyncState | None,
    options: Options | None = None,
    *,
    adopted: datetime | None = None,
    overlap: timedelta = FIVE_MINUTES,
    can: Capabilities | None = None,
) -> Plan:
    return plan_run(
        state,
        options or Options(),
        adopted=adopted,
        overlap=overlap,
        capabilities=can or capabilities(),
    )


def state(watermark: datetime | None = NOON, cursor: str | None = None) -> SyncState:
    return SyncState("tickets", watermark, version=7, cursor=cursor)


def test_without_state_everything_is_read_and_counts_as_first_load() -> None:
    made = plan(None)
    assert (made.mode, made.since, made.moves_watermark) == (Mode.FULL, None, True)
    assert made.first_load
    assert made.seen_version == 0


def test_behind_a_watermark_the_window_reaches_back_by_the_overlap() -> None:
    made = plan(state(cursor="c1"))
    assert (made.mode, made.since) == (Mode.INCREMENTAL, NOON - FIVE_MINUTES)
    assert made.moves_watermark
    assert not made.first_load
    assert (made.seen_version, made.seen_watermark, made.cursor) == (7, NOON, "c1")


@pytest.mark.parametrize(
    ("can", "reach"),
    [
        (capabilities(minimum_overlap=timedelta(minutes=10)), timedelta(minutes=10)),
        (capabilities(resolution=timedelta(minutes=1)), timedelta(minutes=1)),
    ],
)
def test_the_helpdesk_may_need_more_overlap_than_the_user_set(
    can: Capabilities, reach: timedelta
) -> None:
    assert plan(state(), overlap=timedelta(0), can=can).since == NOON - reach


def test_an_older_syncs_table_is_adopted_from_its_newest_row() -> None:
    made = plan(None, adopted=NOON)
    assert (made.mode, made.since) == (Mode.INCREMENTAL, NOON - FIVE_MINUTES)
    assert not made.first_load
    assert made.seen_version == 0


def test_a_state_without_watermark_is_not_adopted_but_loaded_again() -> None:
    """A first load by the listing leaves such a state: it was not read whole."""
    made = plan(state(watermark=None))
    assert (made.mode, made.since, made.seen_version) == (Mode.FULL, None, 7)
    assert made.first_load


def test_full_on_request_reads_everything_and_is_no_first_load() -> None:
    made = plan(state(), Options(ask=Ask.FULL))
    assert (made.mode, made.since, made.moves_watermark) == (Mode.FULL, None, True)
    assert not made.first_load


def test_incremental_on_request_needs_a_watermark() -> None:
    with pytest.raises(UserMistake, match="no watermark yet"):
        plan(None, Options(ask=Ask.INCREMENTAL))


def test_a_range_is_read_as_given_and_never_moves_the_watermark() -> None:
    options = Options(since=NOON - timedelta(days=3), until=NOON - timedelta(days=2))
    made = plan(state(), options)
    assert (made.since, made.until) == (options.since, options.until)
    assert made.is_range
    assert not made.moves_watermark


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(since=NOON, until=NOON - timedelta(seconds=1)), "begins after it ends"),
        (Options(ask=Ask.FULL, since=NOON), "reads everything"),
    ],
)
def test_contradictions_are_refused(options: Options, message: str) -> None:
    with pytest.raises(UserMistake, match=message):
        plan(state(), options)


def test_a_range_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        plan(state(), Options(since=datetime(2026, 11, 1)))  # noqa: DTZ001
