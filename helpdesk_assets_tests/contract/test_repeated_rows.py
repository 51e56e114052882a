"""Rows beyond the first of their key: counted by the run that closes, and removed by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RepeatedRows, RunCounts
from helpdesk_assets.operations.repeated_rows import heal_repeated_rows
from helpdesk_assets.warehouse import tables
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket

INSERT_ONLY = {
    tables.RAW_TICKET_CHANGES.name: "repeated_versions",
    tables.MISSED_UPDATES.name: "repeated_misses",
}


def close(subject: Subject, manifest: Manifest) -> RunCounts:
    """Commit a run as operations do."""
    facts, _ = subject.warehouse.commit_run(manifest, POLICY)
    return heal_repeated_rows(subject.warehouse, manifest, facts)


def ids(subject: Subject, table: str = "tickets") -> list[str]:
    return sorted(row["ticket_id"] for row in subject.backend.rows(table))


def test_rows_equal_in_every_column_become_one(subject: Subject) -> None:
    subject.run(ticket("1"), ticket("2"))
    subject.backend.double_rows("tickets")
    manifest = subject.write(ticket("1", 10, status="closed"), run_id="second")
    facts = close(subject, manifest)
    assert facts.repeated_keys == 2
    assert [(each.table, each.found, each.removed) for each in facts.repeated] == [
        ("tickets", 2, 2)
    ]
    assert ids(subject) == ["1", "2"]
    assert subject.row("1")["status"] == "closed"
    assert close(subject, subject.write()).repeated == ()


def test_newest_of_doubled_rows_stays_with_its_first_sync(subject: Subject) -> None:
    subject.run(ticket("1", 20, status="new"), run_id="first")
    before = subject.row("1")
    newer = NOON - timedelta(minutes=5)
    subject.backend.double_rows(
        "tickets",
        modifiedTime=newer.isoformat(),
        status="closed",
        _synced_by="webhook",
        _run_id="group",
        _first_synced_at=(before["_first_synced_at"] + timedelta(hours=1)).isoformat(),
    )
    facts = close(subject, subject.write())
    after = subject.row("1")
    assert (after["status"], after["modifiedTime"]) == ("closed", newer)
    assert after["_first_synced_at"] == before["_first_synced_at"]
    assert facts.repeated[0].writers == ("sync run first", "webhook run group")


@pytest.mark.parametrize(("minutes", "stays"), [(10, True), (60, True), (90, False)])
def test_deletion_known_to_one_row_is_kept(subject: Subject, minutes: int, stays: bool) -> None:
    subject.run(ticket("1", 60, status="open"))
    deleted = NOON - timedelta(minutes=minutes)
    subject.backend.double_rows(
        "tickets", modifiedTime=None, deletedTime=deleted.isoformat(), subject=None, status=None
    )
    close(subject, subject.write())
    row = subject.row("1")
    assert (row["status"], row["modifiedTime"]) == ("open", ticket("1", 60).modified_time)
    assert row["deletedTime"] == (deleted if stays else None)


@pytest.mark.parametrize("table", INSERT_ONLY)
def test_table_that_only_grows_keeps_the_first_row(subject: Subject, table: str) -> None:
    early, late = ticket("1", 60), ticket("2", 50)
    # Misses are known from the first event on.
    subject.hear(ticket("3", 90), delay=timedelta(seconds=1))
    subject.run(early, late, run_id="first")
    assert ids(subject, table)
    column = tables_time(table)
    was = {row["ticket_id"]: row[column] for row in subject.backend.rows(table)}
    later = max(was.values()) + timedelta(seconds=7)
    subject.backend.double_rows(table, **{column: later.isoformat(), "_run_id": "other"})
    facts = close(subject, subject.write())
    assert getattr(facts, INSERT_ONLY[table]) == len(was)
    assert {row["ticket_id"]: row[column] for row in subject.backend.rows(table)} == was
    assert len(ids(subject, table)) == len(was)
    assert [(each.table, each.removed) for each in facts.repeated] == [(table, len(was))]
    assert "run other" in facts.repeated[0].writers


def tables_time(table: str) -> str:
    (spec,) = (each for each in tables.SYNC_TABLES if each.name == table)
    return str(spec.partition_by)


def test_rows_by_hand_are_told_from_runs(subject: Subject) -> None:
    subject.run(ticket("1"), run_id="first")
    subject.backend.double_rows("tickets", _run_id=None, _synced_by=None)
    facts = close(subject, subject.write())
    assert facts.repeated == (
        RepeatedRows("tickets", 1, 1, ("another program or a person", "sync run first")),
    )


def test_backfill_that_counts_repeated_rows_removes_them(subject: Subject) -> None:
    subject.run(ticket("1"))
    subject.backend.double_rows("tickets")
    close(subject, subject.write(ticket("2"), is_range=True))
    assert ids(subject) == ["1", "2"]


def test_run_without_repeated_rows_runs_no_more_jobs(subject: Subject) -> None:
    manifest = subject.write(ticket("1"))
    facts, _ = subject.warehouse.commit_run(manifest, POLICY)
    used = subject.warehouse.use
    assert heal_repeated_rows(subject.warehouse, manifest, facts) == facts
    assert subject.warehouse.use == used


def test_rows_gone_meanwhile_are_no_failure(subject: Subject) -> None:
    subject.run(ticket("1"))
    counted = replace(RunCounts(), repeated_keys=1)
    healed = heal_repeated_rows(subject.warehouse, subject.write(), counted)
    assert healed.repeated == (RepeatedRows("tickets", 1, 0),)
    assert ids(subject) == ["1"]


def test_days_before_the_window_are_not_counted(subject: Subject) -> None:
    subject.run(ticket("1"))
    old = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    subject.backend.double_rows("raw_ticket_changes", _fetched_at=old.isoformat())
    facts = close(subject, subject.write())
    assert (facts.repeated_versions, len(ids(subject, "raw_ticket_changes"))) == (0, 2)
