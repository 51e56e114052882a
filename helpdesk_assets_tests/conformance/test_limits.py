"""What one query gives at most, and how many calls there may be."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import WindowTooDense
from helpdesk_assets_tests.conformance.conftest import MakeRig
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig

CAP = 60


def test_more_tickets_than_one_query_gives(make_rig: MakeRig) -> None:
    """In all, and nearly in one second: a cut would lose the rest in silence."""
    rig = make_rig(4 * CAP, cap=CAP, helpdesk_result_cap=CAP)
    rig.desk.change(CAP - 1, same_second=True)
    report = rig.settle()
    assert not report.manifest.fallback
    assert report.facts.inserted == 4 * CAP


def test_refuses_a_second_with_more_tickets_than_one_query_gives(make_rig: MakeRig) -> None:
    """No split helps, so the run says so. Once they are apart again, nothing is lost."""
    rig = make_rig(2 * CAP, cap=CAP, helpdesk_result_cap=CAP)
    rig.sync()
    before = rig.state()
    crowd = rig.desk.change(CAP + 15, same_second=True)
    rig.desk.advance(RIPE_SECONDS)
    second = crowd[0].modified_time
    with pytest.raises(WindowTooDense, match=f"{second:%H:%M:%S}") as dense:
        rig.sync()
    assert "\n" not in str(dense.value)
    assert rig.state() == before
    rig.desk.change(ids=[each.ticket_id for each in crowd], spread_seconds=3.0 * len(crowd))
    rig.settle()


def test_a_second_with_more_tickets_than_many_pages_hold(rig: Rig) -> None:
    rig.desk.change(150, same_second=True)
    report = rig.settle()
    assert not report.manifest.fallback
    assert report.facts.updated == 150


def test_slows_down_before_the_limit_is_reached(rig: Rig) -> None:
    """The helpdesk tells in its headers how many calls are left, and never has to say 429."""
    rig.desk.change(100, spread_seconds=200)
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.fault("rate_limit", on="search", calls=20, window_seconds=60.0)
    report = rig.sync(helpdesk_page_size=2)
    assert set(rig.desk.counters().calls["search"]) <= {"200", "204"}
    assert rig.desk.counters().of("search") > 40
    assert report.manifest.api.seconds_waited > 60
    rig.settle()
