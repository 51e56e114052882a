from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from helpdesk_assets.cli import watermark_effects
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.model.test_run_history import STATE
from helpdesk_assets_tests.warehouse.stores.test_checkpoints import BEGUN
from helpdesk_assets_tests.warehouse.stores.test_run_log import LINE

CLOSING = "A run in progress fails when it closes; the next one succeeds."


def test_moving_the_watermark_back() -> None:
    assert watermark_effects.describe_set(
        replace(STATE, cursor=None), NOON - timedelta(days=2)
    ) == [
        (
            "The watermark moves back by 2 d, from 2026-11-01 12:00:00Z to 2026-10-30 12:00:00Z. "
            "The next run reads the changes after that time again; nothing is lost or doubled."
        ),
        CLOSING,
    ]


def test_moving_the_watermark_forward() -> None:
    to = NOON + timedelta(hours=1, microseconds=5)
    assert watermark_effects.describe_set(replace(STATE, cursor=None), to) == [
        (
            "The watermark moves forward by 1 h, from 2026-11-01 12:00:00Z to 2026-11-01 "
            "13:00:00Z, and no sync reads what changed between the two. To read it, run "
            "`helpdesk-assets repair --since 2026-11-01T12:00:00Z --until "
            "2026-11-01T13:00:00.000005Z` or `helpdesk-assets sync --full`."
        ),
        CLOSING,
    ]


def test_setting_a_first_watermark() -> None:
    assert watermark_effects.describe_set(None, NOON) == [
        (
            "There is no watermark yet. From 2026-11-01 12:00:00Z, the next run reads what changed "
            "after that time. To read older changes as well, run `helpdesk-assets sync --full` or "
            "`helpdesk-assets repair --until 2026-11-01T12:00:00Z`."
        ),
        CLOSING,
    ]


def test_dropped_cursor_and_checkpoint_are_listed() -> None:
    state = replace(STATE, checkpoint=BEGUN)
    _, cursor, checkpoint, _ = watermark_effects.describe_set(state, NOON - timedelta(days=1))
    assert cursor == "The helpdesk's own cursor is discarded: the next run asks by time."
    assert checkpoint.startswith("The checkpoint of an interrupted run (250 tickets, saved at ")
    assert checkpoint.endswith(") is discarded.")


def test_rebuilding_the_state_row() -> None:
    assert watermark_effects.describe_rebuild(None, LINE) == [
        (
            "The state row is rebuilt from run run-7, which closed at 2026-11-01 12:00:00Z. "
            "Watermark: 2026-11-01 12:00:00Z. The next run reads again what later runs read; "
            "nothing is lost."
        ),
        (
            "If rows of tickets may be gone as well, run `helpdesk-assets sync --full` instead: "
            "the log does not say how many there were."
        ),
        CLOSING,
    ]
    first, *_ = watermark_effects.describe_rebuild(None, replace(LINE, watermark=None))
    assert "Watermark: none, because no window had been read whole." in first
