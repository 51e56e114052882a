"""How runs become episodes, and when somebody has to be told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.alerts.findings import Finding, RunReport
from helpdesk_assets.alerts.incidents import (
    NONE,
    Episode,
    Episodes,
    Kind,
    Trying,
    absorb,
    due,
    forget,
)
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import (
    BEGIN,
    DAY,
    FAILS,
    GAPS,
    GOOD,
    WARNS,
    episode,
    report,
)

DOWN = Finding("job helpdesk_sync", Severity.ERROR, "The run failed.")
BY_HAND = Finding("run by hand", Severity.ERROR, "The run failed.")


def after(*reports: RunReport, begun: Episodes = NONE) -> Episodes:
    for each in reports:
        begun = absorb(begun, each)
    return begun


def test_what_is_well_begins_nothing() -> None:
    assert after(report(0, GOOD)) == {}


def test_an_episode_counts_its_runs_and_keeps_its_beginning() -> None:
    found = after(report(0, FAILS), report(2, WARNS))[GAPS]
    assert (found.since, found.runs, found.run_id) == (BEGIN, 2, "run-2")
    assert found.severity is Severity.WARN


def test_a_run_and_its_retries_count_once() -> None:
    found = after(report(0, FAILS), report(1, FAILS, root=0), report(2, FAILS, root=0))[GAPS]
    assert (found.runs, found.run_id) == (1, "run-2")


def test_it_is_over_with_the_first_run_in_which_it_is_well() -> None:
    found = after(report(0, FAILS), report(2, GOOD), report(4, GOOD))[GAPS]
    assert (found.severity, found.run_id) == (None, "run-2")
    assert found.over_at == BEGIN + timedelta(hours=2)


def test_a_run_that_says_nothing_of_a_check_ends_nothing() -> None:
    assert after(report(0, FAILS), report(2))[GAPS].over_at is None


def test_what_begins_again_is_a_new_episode() -> None:
    found = after(report(0, FAILS), report(2, GOOD), report(4, FAILS))[GAPS]
    assert (found.since, found.runs, found.over_at) == (BEGIN + timedelta(hours=4), 1, None)


def test_a_failed_run_is_over_with_a_good_one_of_the_same_job() -> None:
    failed = after(report(0, failure=DOWN))
    assert after(report(1, job="other", covers=("b",)), begun=failed)["job helpdesk_sync"].severity
    over = after(report(1, covers=()), begun=failed)["job helpdesk_sync"]
    assert over.over_at == BEGIN + timedelta(hours=1)


def test_a_failed_run_is_over_when_others_have_done_all_that_it_was_to_do() -> None:
    failed = report(0, failure=BY_HAND, job="__ASSET_JOB", covers=("a", "b"))
    half = after(failed, report(1, job="__ASSET_JOB", covers=("a",)))
    assert half["run by hand"].over_at is None
    whole = after(report(2, job="__ASSET_JOB", covers=("b", "c")), begun=half)
    assert whole["run by hand"].over_at == BEGIN + timedelta(hours=2)


def test_another_run_by_hand_makes_up_for_nothing_but_what_it_did() -> None:
    failed = report(0, failure=BY_HAND, job="__ASSET_JOB", covers=("a",))
    found = after(failed, report(1, job="__ASSET_JOB", covers=("c",)))
    assert found["run by hand"].over_at is None


def test_a_failed_run_makes_up_for_nothing() -> None:
    found = after(report(0, failure=DOWN), report(1, failure=DOWN))
    assert (found["job helpdesk_sync"].over_at, found["job helpdesk_sync"].runs) == (None, 2)


def at(hours: float) -> timedelta:
    return timedelta(hours=hours)


def kinds(found: Episode, hours: float) -> Kind | None:
    return due(found, "chat", BEGIN + at(hours), DAY)


def test_its_whole_life_for_one_channel() -> None:
    found = episode(WARNS)
    assert kinds(found, 0) is Kind.BEGAN
    found = found.now_told("chat", BEGIN)
    assert kinds(found, 23.9) is None
    assert kinds(found, 24) is Kind.REMINDER
    found = found.now_told("chat", BEGIN + at(24))
    assert kinds(found, 47.9) is None

    worse = absorb({GAPS: found}, report(30, FAILS))[GAPS]
    assert kinds(worse, 30) is Kind.WORSE
    worse = worse.now_told("chat", BEGIN + at(30))
    eased = absorb({GAPS: worse}, report(32, WARNS))[GAPS]
    assert kinds(eased, 32) is None

    over = absorb({GAPS: eased}, report(34, GOOD))[GAPS]
    assert kinds(over, 34) is Kind.OVER
    over = over.now_told("chat", BEGIN + at(34))
    assert kinds(over, 500) is None
    assert forget({GAPS: over}, ["chat"], 10) == {}

    again = absorb({GAPS: over}, report(36, WARNS))[GAPS]
    assert kinds(again, 36) is Kind.BEGAN


def test_whoever_heard_nothing_of_it_hears_of_both_ends_in_one() -> None:
    assert kinds(episode(over_after=at(2)), 3) is Kind.PASSED_BY


def test_whoever_heard_of_the_beginning_alone_need_not_hear_that_it_began_again() -> None:
    told = episode().now_told("chat", BEGIN)
    again = after(report(2, GOOD), report(4, FAILS), begun={GAPS: told})[GAPS]
    assert kinds(again, 4) is None
    assert kinds(again, 24) is Kind.REMINDER


def test_a_channel_that_failed_is_left_alone_for_a_while() -> None:
    trying = episode().now_trying("chat", Trying(2, BEGIN + at(1)))
    assert kinds(trying, 0.9) is None
    assert kinds(trying, 1) is Kind.BEGAN
    assert due(trying, "mail", BEGIN, DAY) is Kind.BEGAN
    assert trying.now_told("chat", BEGIN).trying == {}


def test_what_is_over_is_kept_until_everybody_knows() -> None:
    over = episode(over_after=at(2)).now_told("chat", BEGIN + at(2))
    assert forget({GAPS: over}, ["chat", "mail"], 10) == {GAPS: over}
    assert forget({GAPS: over}, ["chat"], 10) == {}


def test_channels_that_are_no_more_are_forgotten_and_new_ones_are_told() -> None:
    told = episode().now_told("old", BEGIN).now_trying("old", Trying(1, BEGIN))
    (kept,) = forget({GAPS: told}, ["new"], 10).values()
    assert (kept.told, kept.trying) == ({}, {})
    assert due(kept, "new", BEGIN, DAY) is Kind.BEGAN


@pytest.mark.parametrize("most", [1, 2])
def test_beyond_the_most_the_ones_seen_longest_ago_go(most: int) -> None:
    many = after(*(report(n, Finding(f"check {n}", Severity.WARN)) for n in range(4)))
    assert sorted(forget(many, [], most)) == [f"check {n}" for n in range(4 - most, 4)]
