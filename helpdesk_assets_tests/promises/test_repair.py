"""Single tickets are repaired beside the schedule: by the same guard, and without the watermark."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.state import RunFacts
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions


@pytest.fixture
def ids(rig: Rig) -> list[str]:
    """Of a helpdesk with a filled table, which webhooks keep up to date."""
    rig.sync(bigquery_small_batch_bytes=1000)
    return [ticket.ticket_id for ticket in rig.desk.truth()]


@pytest.mark.parametrize("small_bytes", [1_000_000, 1], ids=["inline", "staged"])
def test_absent_and_older_rows_are_put_right(rig: Rig, ids: list[str], small_bytes: int) -> None:
    rig.lose(ids[:7])
    rig.make_older(ids[7:12])
    report = rig.repair(ids[:20], chunk=6, bigquery_small_batch_bytes=small_bytes)
    assert (report.asked, report.merged, report.unchanged, report.rejected) == (20, 12, 8, 0)
    rig.assert_equal()
    assert not [item.table_id for item in rig.warehouse.list_tables() if "__stg_" in item.table_id]


def test_done_again_nothing_is_merged(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:3])
    rig.repair(ids[:3], run_id="first")
    stored = rig.rows("raw_ticket_changes")
    report = rig.repair(ids[:3])
    assert (report.merged, report.unchanged) == (0, 3)
    assert rig.rows("raw_ticket_changes") == stored
    rig.assert_equal()


def test_neither_the_watermark_nor_the_last_run_is_touched(rig: Rig, ids: list[str]) -> None:
    before = rig.state()
    rig.desk.change(10)
    rig.desk.advance(RIPE_SECONDS)
    rig.repair(ids)
    assert rig.state() == before


def test_a_newer_row_stays(rig: Rig, ids: list[str]) -> None:
    rig.make_newer(ids[:2])
    before = rig.tickets()
    report = rig.repair(ids[:4])
    assert (report.merged, report.unchanged, report.rejected) == (0, 2, 2)
    assert rig.tickets() == before


def test_what_webhooks_missed_is_recorded_although_the_repair_came_first(
    rig: Rig, ids: list[str]
) -> None:
    lost = rig.desk.change(ids=ids[:4])
    rig.desk.advance(RIPE_SECONDS)
    young = rig.desk.change(ids=ids[4:6])
    rig.repair(ids)
    assert rig.missed() == as_versions(lost)
    rig.deliver(young)
    rig.settle()
    assert rig.missed() == as_versions(lost)


def test_a_change_younger_than_the_grace_is_not_called_missed(rig: Rig, ids: list[str]) -> None:
    """By the helpdesk's clock: this machine's is a day ahead."""
    rig.desk.set_offset(-86_400)
    rig.desk.change(ids=ids[:3])
    rig.repair(ids[:3])
    assert rig.missed() == set()


def test_a_ticket_that_is_nowhere_is_told_and_not_made(rig: Rig, ids: list[str]) -> None:
    for gone_is_deleted in (False, True):
        report = rig.repair([ids[0], "nobody's"], gone_is_deleted=gone_is_deleted)
        assert (report.not_found, report.not_found_named) == (1, ("nobody's",))
        assert report.deleted == 0
    rig.assert_equal()


def test_a_gone_ticket_is_only_marked_when_asked(rig: Rig, ids: list[str]) -> None:
    before = rig.tickets()
    gone = rig.desk.delete(ids=[ids[0]])
    report = rig.repair(gone)
    assert (report.not_found, report.merged, report.deleted) == (1, 0, 0)
    assert rig.tickets() == before
    report = rig.repair(gone, gone_is_deleted=True)
    assert (report.not_found, report.merged, report.deleted) == (0, 1, 1)
    row = rig.tickets()[gone[0]]
    at = row["deletedTime"]
    assert abs(at - rig.desk.clock().now) < timedelta(minutes=1)
    assert row == {**before[gone[0]], "modifiedTime": at, "deletedTime": at}
    report = rig.repair(gone, gone_is_deleted=True)
    assert (report.not_found, report.deleted) == (1, 0)
    assert rig.tickets()[gone[0]] == row


def test_an_unreadable_ticket_is_named_and_holds_no_other_up(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:3])
    rig.desk.fault("bad_ticket", on="ticket", ids=[ids[1]])
    report = rig.repair(ids[:3])
    assert (report.merged, report.unreadable) == (2, 1)
    assert ids[1] in report.unreadable_named[0]


def test_what_was_merged_before_a_failure_stays(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:10])
    rig.desk.fault("error_500", on="ticket", after=5)
    with pytest.raises(EndpointFailed):
        rig.repair(ids[:10], chunk=4)
    assert len(rig.tickets()) == len(ids) - 6
    rig.desk.clear_faults()
    assert rig.repair(ids[:10], chunk=4).merged == 6
    rig.assert_equal()


def test_before_any_run_every_ticket_is_new_and_none_was_missed(rig: Rig) -> None:
    ids = [ticket.ticket_id for ticket in rig.desk.truth()]
    assert rig.repair(ids[:5]).merged == 5
    assert rig.missed() == set()
    assert rig.state() is None
    assert rig.sync().facts == RunFacts(rows=60, inserted=55, unchanged=5)
