"""Reading tickets looks for garbage cycles rarely, and leaves the process as it was."""

from __future__ import annotations

import gc

from helpdesk_assets.cli.garbage import THRESHOLDS, rare_collections


def test_collections_are_rare_only_within_the_block() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with rare_collections():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > before[1]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
