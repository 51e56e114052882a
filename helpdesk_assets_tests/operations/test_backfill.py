"""Spans of time, read beside the sync: all of them together are the helpdesk, and the sync's own
part is left to the sync."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.sync import Policy, SyncReport
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.warehouse.statements.sync_state import Setting
from helpdesk_assets_tests.conformance.vendors import VENDORS, Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions, connected, open_rig

PAGE = Path(__file__).parents[2] / "docs" / "backfill.md"
FAR = datetime(2100, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def rig(warehouse_endpoint: str) -> Iterator[Rig]:
    with open_rig(warehouse_endpoint, 60) as opened:
        yield opened


def read(rig: Rig, since: datetime, until: datetime) -> SyncReport | None:
    settings = rig.settings.for_backfill
    with connected(settings) as tables, closing(make_helpdesk(settings, rig._world)) as helpdesk:
        return backfill(
            helpdesk,
            tables,
            since,
            until,
            Policy.from_settings(settings),
            run_id=uuid.uuid4().hex,
        )


def wipe(rig: Rig) -> None:
    table = rig.warehouse.dataset.table_id("tickets")
    rig.warehouse._client.query(f"DELETE FROM `{table}` WHERE TRUE").result()


def state_of(rig: Rig) -> SyncState:
    state = rig.state()
    assert state is not None
    return state


def spans(rig: Rig, count: int) -> list[tuple[datetime, datetime]]:
    """Time from the oldest ticket on, cut into spans; the last one is not over."""
    first = min(ticket.modified_time for ticket in rig.desk.truth())
    length = (datetime.now(UTC) - first) / count
    edges = [first + length * number for number in range(count)]
    return list(zip(edges, [*edges[1:], FAR], strict=True))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_the_spans_together_are_the_helpdesk(warehouse_endpoint: str, vendor: Vendor) -> None:
    with open_rig(warehouse_endpoint, 40, vendor) as rig:
        rig.desk.advance(RIPE_SECONDS)
        rig.sync()
        before = state_of(rig)
        wipe(rig)
        for since, until in spans(rig, 3):
            assert read(rig, since, until) is not None
        rig.assert_equal()
        assert rig.state() == before
        assert rig.missed() == set()


def test_a_history_is_loaded_by_spans_while_the_sync_goes_on(rig: Rig) -> None:
    """Begun with a watermark that was set by hand, so that no run reads everything."""
    rig.sync_tables_exist()
    rig.desk.advance(RIPE_SECONDS)
    newest = max(ticket.modified_time for ticket in rig.desk.truth())
    with connected(rig.settings) as tables:
        tables.set_by_hand(Setting(newest, None, 1, "hand", "set"), None)
    first, second, third = spans(rig, 3)
    read(rig, *second)
    rig.desk.change(9, spread_seconds=20)
    rig.desk.advance(RIPE_SECONDS)
    assert rig.sync().manifest.mode is Mode.INCREMENTAL
    watermark = state_of(rig).watermark
    read(rig, *first)
    read(rig, *third)
    rig.assert_equal()
    assert state_of(rig).watermark == watermark


def test_what_the_sync_has_not_judged_is_left_to_it(rig: Rig) -> None:
    """Merged by the backfill, a lost webhook's change would not look missed any more."""
    rig.sync()
    rig.desk.advance(RIPE_SECONDS)
    lost = rig.desk.change(4, spread_seconds=4)
    rig.desk.advance(RIPE_SECONDS)
    report = read(rig, LONG_AGO, FAR)
    assert report is not None
    state = state_of(rig)
    assert state.watermark is not None
    assert report.manifest.window.until == state.watermark - rig.settings.webhooks.reach
    assert rig.missed() == set()
    rig.sync()
    assert rig.missed() == as_versions(lost)
    rig.assert_equal()


def test_a_span_that_the_sync_has_not_reached_is_not_read(rig: Rig) -> None:
    rig.sync()
    state = state_of(rig)
    assert state.watermark is not None
    rig.desk.reset_counters()
    assert read(rig, state.watermark, FAR) is None
    assert rig.desk.counters().total == 0


def test_without_a_watermark_it_reads_up_to_the_helpdesks_clock(rig: Rig) -> None:
    report = read(rig, LONG_AGO, FAR)
    assert report is not None
    assert report.tickets_synced == 60
    assert report.manifest.window.until < FAR
    assert rig.state() is None
    rig.assert_equal()


def test_an_older_version_is_never_put_over_a_newer_one(rig: Rig) -> None:
    """Read before a change and merged after it, as two machines may do."""
    rig.sync()
    rig.desk.advance(RIPE_SECONDS)
    settings = rig.settings.for_backfill
    with connected(settings) as tables, closing(make_helpdesk(settings, rig._world)) as helpdesk:

        def overtaken(_: object) -> None:
            rig.desk.change(10, spread_seconds=10)
            rig.desk.advance(RIPE_SECONDS)
            rig.sync()

        report = backfill(
            helpdesk,
            tables,
            LONG_AGO,
            FAR,
            Policy.from_settings(settings),
            run_id="overtaken",
            on_page=overtaken,
        )
    assert report is not None
    assert report.facts.rejected == 10
    rig.assert_equal()


def test_the_page_says_how_to_remove_a_row_too_many(rig: Rig) -> None:
    rig.sync()
    table = rig.warehouse.dataset.table_id("tickets")
    first, second, *_ = sorted(rig.truth())
    columns = "ticket_id, modifiedTime, _synced_at"
    for ticket_id, days, seconds in ((first, 5, 0), (second, 0, 5)):
        rig.warehouse._client.query(
            f"INSERT INTO `{table}` ({columns}) SELECT ticket_id, "
            f"TIMESTAMP_SUB(modifiedTime, INTERVAL {days} DAY), "
            f"TIMESTAMP_SUB(_synced_at, INTERVAL {seconds} SECOND) "
            f"FROM `{table}` WHERE ticket_id = '{ticket_id}'"
        ).result()
    assert len(rig.rows()) == 62
    (example,) = re.findall(r"(?:^      .*\n)+", PAGE.read_text(), re.MULTILINE)
    rig.warehouse._client.query(example.replace("helpdesk_data.tickets", table)).result()
    rig.assert_equal()


def test_its_share_of_the_limits_is_what_the_setting_says(rig: Rig) -> None:
    settings = rig.settings.model_copy(
        update={"helpdesk_calls_per_minute": 100, "zendesk_exports_per_minute": 3}
    )
    shared = settings.for_backfill
    assert shared.helpdesk_calls_per_minute == 25
    assert shared.helpdesk_concurrency == 2
    # One at least, and no limit stays none.
    assert shared.zendesk_exports_per_minute == 1
    assert shared.freshdesk_lists_per_minute == 0


def test_one_run_within_its_share_waits(rig: Rig) -> None:
    """Counted by the clock of the run, which waiting moves."""
    rig.settings = rig.settings.model_copy(
        update={"helpdesk_calls_per_minute": 8, "helpdesk_page_size": 10}
    )
    report = read(rig, LONG_AGO, FAR)
    assert report is not None
    assert report.manifest.api.calls >= 6
    assert report.manifest.api.seconds_waited >= timedelta(minutes=2).total_seconds()
