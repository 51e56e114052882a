from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from helpdesk_assets.cli import watermark_effects
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.model.test_run_history import STATE
from helpdesk_assets_tests.warehouse.stores.test_checkpoints import BEGUN
from helpdesk_assets_tests.warehouse.stores.test_run_log import LINE

CLOSING = "A run that is under way now will fail when it closes; the next one will not."


def test_moving_the_watermark_back() -> None:
    assert watermark_effects.describe_set(
        replace(STATE, cursor=None), NOON - timedelta(days=2)
    ) == [
        (
            "The watermark goes back by 2 d, from 2026-11-01 12:00:00Z to 2026-10-30 12:00:00Z. "
            "The next run reads what changed from there on again. Nothing is lost or doubled by "
            "that."
        ),
        CLOSING,
    ]


def test_moving_the_watermark_forward() -> None:
    to = NOON + timedelta(hours=1, microseconds=5)
    assert watermark_effects.describe_set(replace(STATE, cursor=None), to) == [
        (
            "The watermark goes on by 1 h, from 2026-11-01 12:00:00Z to 2026-11-01 13:00:00Z. What "
            "changed between the two is never looked at unless by `sync --full` or "
            "`sync --since 2026-11-01T12:00:00Z --until 2026-11-01T13:00:00.000005Z`."
        ),
        CLOSING,
    ]


def test_setting_a_first_watermark() -> None:
    assert watermark_effects.describe_set(None, NOON) == [
        (
            "There is no watermark yet. With 2026-11-01 12:00:00Z the next run reads what changed "
            "from there on, and what is older is never looked at unless by `sync --full` or "
            "`sync --until 2026-11-01T12:00:00Z`."
        ),
        CLOSING,
    ]


def test_dropped_cursor_and_checkpoint_are_listed() -> None:
    state = replace(STATE, checkpoint=BEGUN)
    _, cursor, checkpoint, _ = watermark_effects.describe_set(state, NOON - timedelta(days=1))
    assert cursor == "The helpdesk's own cursor is dropped: the next run asks by time."
    assert checkpoint.startswith("The unfinished reading, 250 tickets stored at ")
    assert checkpoint.endswith(", is given up.")


def test_rebuilding_the_state_row() -> None:
    assert watermark_effects.describe_rebuild(None, LINE) == [
        (
            "The state row is made again from run run-7, which closed at 2026-11-01 12:00:00Z. "
            "Watermark: 2026-11-01 12:00:00Z. What a later run has read is read again, and nothing "
            "is lost."
        ),
        CLOSING,
    ]
    first, *_ = watermark_effects.describe_rebuild(None, replace(LINE, watermark=None))
    assert "Watermark: none, as no window had been read whole." in first
