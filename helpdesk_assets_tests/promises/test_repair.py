"""Single tickets are repaired beside the schedule, with the same guard and no watermark."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions


@pytest.fixture
def ids(harness: Harness) -> list[str]:
    """Ids of a helpdesk with a filled table, which webhooks keep up to date."""
    harness.sync(bigquery_small_batch_bytes=1000)
    return [ticket.ticket_id for ticket in harness.simulator.truth()]


@pytest.mark.parametrize("small_bytes", [1_000_000, 1], ids=["inline", "staged"])
def test_absent_and_stale_rows_are_repaired(
    harness: Harness, ids: list[str], small_bytes: int
) -> None:
    harness.delete_rows(ids[:7])
    harness.make_stale(ids[7:12])
    report = harness.repair(ids[:20], chunk=6, bigquery_small_batch_bytes=small_bytes)
    assert (report.asked, report.merged, report.unchanged, report.rejected) == (20, 12, 8, 0)
    harness.assert_equal()
    assert harness.backend.stagings() == []


def test_repeated_repair_merges_nothing(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:3])
    harness.repair(ids[:3], run_id="first")
    stored = harness.rows("raw_ticket_changes")
    report = harness.repair(ids[:3])
    assert (report.merged, report.unchanged) == (0, 3)
    assert harness.rows("raw_ticket_changes") == stored
    harness.assert_equal()


def test_watermark_and_last_run_are_unchanged(harness: Harness, ids: list[str]) -> None:
    before = harness.state()
    harness.simulator.change(10)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.repair(ids)
    assert harness.state() == before


def test_newer_row_is_kept(harness: Harness, ids: list[str]) -> None:
    harness.make_ahead(ids[:2])
    before = harness.tickets()
    report = harness.repair(ids[:4])
    assert (report.merged, report.unchanged, report.rejected) == (0, 2, 2)
    assert harness.tickets() == before


def test_missed_webhooks_are_recorded_despite_an_earlier_repair(
    harness: Harness, ids: list[str]
) -> None:
    lost = harness.simulator.change(ids=ids[:4])
    harness.simulator.advance(SECONDS_PAST_GRACE)
    young = harness.simulator.change(ids=ids[4:6])
    harness.repair(ids)
    assert harness.missed() == as_versions(lost)
    harness.deliver(young)
    harness.sync_and_verify()
    assert harness.missed() == as_versions(lost)


def test_change_within_grace_is_not_missed(harness: Harness, ids: list[str]) -> None:
    """By the helpdesk's clock; this machine's is a day ahead."""
    harness.simulator.set_offset(-86_400)
    harness.simulator.change(ids=ids[:3])
    harness.repair(ids[:3])
    assert harness.missed() == set()


def test_nonexistent_ticket_is_reported_not_created(harness: Harness, ids: list[str]) -> None:
    for mark_deleted in (False, True):
        report = harness.repair([ids[0], "nobody's"], mark_deleted=mark_deleted)
        assert (report.not_found, report.not_found_named) == (1, ("nobody's",))
        assert report.deleted == 0
    harness.assert_equal()


def test_deleted_ticket_is_marked_only_on_request(harness: Harness, ids: list[str]) -> None:
    before = harness.tickets()
    gone = harness.simulator.delete(ids=[ids[0]])
    report = harness.repair(gone)
    assert (report.not_found, report.merged, report.deleted) == (1, 0, 0)
    assert harness.tickets() == before
    report = harness.repair(gone, mark_deleted=True)
    assert (report.not_found, report.merged, report.deleted) == (0, 1, 1)
    row = harness.tickets()[gone[0]]
    at = row["deletedTime"]
    assert abs(at - harness.simulator.clock().now) < timedelta(minutes=1)
    assert row == {**before[gone[0]], "deletedTime": at}
    report = harness.repair(gone, mark_deleted=True)
    assert (report.not_found, report.deleted) == (1, 0)
    assert harness.tickets()[gone[0]] == row


def test_unreadable_ticket_is_named_and_blocks_no_other(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:3])
    harness.simulator.fault("bad_ticket", on="ticket", ids=[ids[1]])
    report = harness.repair(ids[:3])
    assert (report.merged, report.unreadable) == (2, 1)
    assert ids[1] in report.unreadable_named[0]


def test_tickets_merged_before_a_failure_are_kept(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:10])
    harness.simulator.fault("error_500", on="ticket", after=5)
    with pytest.raises(EndpointFailed):
        harness.repair(ids[:10], chunk=4)
    assert len(harness.tickets()) == len(ids) - 6
    harness.simulator.clear_faults()
    assert harness.repair(ids[:10], chunk=4).merged == 6
    harness.assert_equal()


def test_before_any_run_tickets_are_new_not_missed(harness: Harness) -> None:
    ids = [ticket.ticket_id for ticket in harness.simulator.truth()]
    assert harness.repair(ids[:5]).merged == 5
    assert harness.missed() == set()
    assert harness.state() is None
    facts = harness.sync().facts
    assert (facts.rows, facts.inserted, facts.unchanged) == (60, 55, 5)
    assert facts.missed_total == 0
