"""The desk as a whole: what it remembers when it is opened again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.simulator.desk import Desk


def test_a_helpdesk_opened_again_has_the_same_past() -> None:
    opened = datetime(2026, 11, 1, tzinfo=UTC)
    first = Desk(50, seed=3, start=opened)
    again = Desk(50, seed=3, start=opened + timedelta(days=7), history_until=opened)
    assert list(again.store.modified_between(0, 1 << 40, 0, 50, None).versions) == list(
        first.store.modified_between(0, 1 << 40, 0, 50, None).versions
    )
    assert again.clock.now() - first.clock.now() >= timedelta(days=6)
