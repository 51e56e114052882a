"""One case per way in which tickets can differ from what a helpdesk lists."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.reconciliation import (
    DifferenceKind,
    DifferenceOutcome,
    InventoryPart,
    InventorySnapshot,
    RowCounts,
    inventory_staging_name,
)
from helpdesk_assets.naming import batch_id
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import Subject, ticket

CUTOFFS = Cutoffs(
    stable_until=NOON - timedelta(minutes=10), synced_until=NOON - timedelta(minutes=20)
)


def test_each_kind_of_difference_is_found(subject: Subject) -> None:
    stored = {"same": 60, "stale": 90, "unlisted": 60, "gone": 60, "ahead": 60, "young": 5}
    subject.run(*(ticket(name, minutes) for name, minutes in stored.items()))
    subject.run(ticket("future", -60))
    early, late = NOON - timedelta(minutes=11), NOON - timedelta(minutes=9)
    for name, read_at in {"dead": early, "just deleted": late}.items():
        subject.run(tombstone(name, NOON - timedelta(minutes=50), {"id": name}), read_at=read_at)
    listed = {
        "same": 60, "stale": 60, "gone": 50, "ahead": 70, "young": 30, "future": 60,
        "absent": 60, "too new": 15, "dead": 60, "just deleted": 60,
    }  # fmt: skip
    entries = [
        (name, NOON - timedelta(minutes=minutes), name == "gone")
        for name, minutes in listed.items()
    ]
    snapshot = subject.snapshot([*entries, ("unreadable", None, False)])
    store = subject.warehouse.inventories()
    store.compare(snapshot, CUTOFFS)
    kinds = {row["ticket_id"]: row["kind"] for row in subject.backend.rows("inventory_differences")}
    assert kinds == {
        "stale": "stale",
        "unlisted": "gone",
        "gone": "gone",
        "ahead": "newer_here",
        "future": "newer_here",
        "absent": "absent",
        "dead": "dead_here",
    }
    assert sorted(store.found(snapshot, (DifferenceKind.DELETED,))) == ["gone", "unlisted"]


def test_old_rows_need_not_be_listed_where_tickets_are_archived(subject: Subject) -> None:
    """Those that are listed count all the same, and so do young ones."""
    stored = {"old": 90, "young": 60, "old and listed": 90, "old and gone": 90, "back": 90}
    subject.run(*(ticket(name, minutes) for name, minutes in stored.items()))
    at = NOON - timedelta(minutes=50)
    listed = [("old and listed", at, False), ("old and gone", at, True)]
    snapshot = subject.snapshot([*listed, ("back", NOON - timedelta(minutes=90), False)])
    store = subject.warehouse.inventories()
    store.compare(snapshot, replace(CUTOFFS, listed_after=NOON - timedelta(minutes=80)))
    kinds = {row["ticket_id"]: row["kind"] for row in subject.backend.rows("inventory_differences")}
    assert kinds == {"young": "gone", "old and listed": "stale", "old and gone": "gone"}


def test_sizes_of_the_snapshot_and_the_table(subject: Subject) -> None:
    subject.run(ticket("9"), ticket("10"), ticket("x-11"), ticket("12-a"))
    gone = ticket("30")
    subject.run(replace(gone, deleted_time=gone.modified_time))
    snapshot = subject.snapshot([("1", NOON, False), ("31", NOON, False)])
    with Spool(1_000) as no_more:
        counts = subject.warehouse.inventories().store(snapshot, no_more)
    assert counts == RowCounts(listed=2, alive=4, highest=30)


def test_how_far_the_archive_was_asked_is_kept(subject: Subject) -> None:
    store = subject.warehouse.inventories()
    store.note_archive("1-5")
    assert store.archive_mark() is None
    subject.snapshot([])
    store.note_archive("1-5")
    store.note_archive("1-10")
    assert subject.warehouse.inventories().archive_mark() == "1-10"


def test_outcomes_are_told_by_what_the_table_holds_then(subject: Subject) -> None:
    subject.run(ticket("1", 90), ticket("2"), ticket("3"), ticket("4", 30))
    at = NOON - timedelta(minutes=60)
    early = NOON - timedelta(minutes=11)
    subject.run(tombstone("6", at, {"id": "6"}), tombstone("7", at, {"id": "7"}), read_at=early)
    snapshot = subject.snapshot([(name, at, False) for name in ("1", "4", "5", "6", "7")])
    store = subject.warehouse.inventories()
    store.compare(snapshot, CUTOFFS)
    gone = ticket("2", 40)
    subject.run(ticket("1", 60), replace(gone, deleted_time=gone.modified_time))
    subject.run(ticket("6", 60), forced=True, is_staged=True)
    subject.run(ticket("7", 60), read_at=early)
    store.record_outcomes(snapshot, deletions_verified=True)
    counts = {
        (each.kind, each.outcome): each.ticket_ids for each in store.difference_counts(snapshot)
    }
    assert counts == {
        (DifferenceKind.STALE, DifferenceOutcome.REPAIRED): ("1",),
        (DifferenceKind.DELETED, DifferenceOutcome.DELETED): ("2",),
        (DifferenceKind.DELETED, DifferenceOutcome.STILL_EXISTS): ("3",),
        (DifferenceKind.AHEAD, DifferenceOutcome.UNRESOLVED): ("4",),
        (DifferenceKind.ABSENT, DifferenceOutcome.UNRESOLVED): ("5",),
        (DifferenceKind.DEAD, DifferenceOutcome.REPAIRED): ("6",),
        (DifferenceKind.DEAD, DifferenceOutcome.UNRESOLVED): ("7",),
    }


def test_inventories_expire_and_their_differences_stay() -> None:
    """BigQuery drops the partitions by itself and for nothing; a DELETE would be billed."""
    assert tables.TICKET_INVENTORY.partition_days == 16
    assert tables.TICKET_INVENTORY.partition_by == "listed_at"
    assert tables.INVENTORY_DIFFERENCES.partition_days is None


def part_of(minute: int, resume: str = "here") -> InventoryPart:
    """Make a part of an inventory that began at this minute of the last hour."""
    began = datetime.now(UTC) - timedelta(hours=1) + timedelta(minutes=minute)
    sweep_id = batch_id(began, "mender", 0)
    staging = inventory_staging_name(sweep_id)
    snapshot = InventorySnapshot(sweep_id, "mender", NOON, NOON, 2, 1, total=3, staging=staging)
    return InventoryPart(snapshot, resume, datetime.now(UTC), "paper", "a1b2")


def entries_of(part: InventoryPart, *listed: tuple[str, int, bool]) -> Spool:
    """Return rows of the inventory: id, minutes before noon, and whether it is gone."""
    spool = Spool(1_000_000)
    for name, minutes, gone in listed:
        row = {
            "sweep_id": part.snapshot.sweep_id,
            "ticket_id": name,
            "modifiedTime": (NOON - timedelta(minutes=minutes)).isoformat(),
            "gone": gone,
            "listed_at": NOON.isoformat(),
        }
        spool.append(json.dumps(row).encode())
    return spool


def test_parts_are_one_inventory_with_the_latest_entries(subject: Subject) -> None:
    store, part = subject.warehouse.inventories(), part_of(1)
    assert store.unfinished() is None
    store.begin_parts(str(part.snapshot.staging))
    assert store.unfinished() is None
    with entries_of(part, ("1", 60, False), ("2", 60, False)) as first:
        store.save_part(part, first)
    assert store.unfinished() == part
    later = replace(part, resume="there")
    with entries_of(part, ("2", 60, True), ("3", 60, False)) as second:
        store.save_part(later, second)
    assert store.unfinished() == later
    with entries_of(part, ("1", 30, False), ("3", 90, False)) as rest:
        assert store.store(part.snapshot, rest).listed == 3
    rows = subject.backend.rows("ticket_inventory")
    minutes = {row["ticket_id"]: (NOON - row["modifiedTime"]).seconds // 60 for row in rows}
    assert minutes == {"1": 30, "2": 60, "3": 60}
    assert {row["ticket_id"] for row in rows if row["gone"]} == {"2"}
    assert store.unfinished() is None
    assert subject.backend.stagings() == []


def test_last_interrupted_inventory_is_gone_on_with(subject: Subject) -> None:
    store, newest = subject.warehouse.inventories(), part_of(20)
    for part in (newest, part_of(10)):
        store.begin_parts(str(part.snapshot.staging))
        with entries_of(part, ("1", 60, False)) as entries:
            store.save_part(part, entries)
    begun = part_of(30).snapshot.staging
    store.begin_parts(str(begun))
    assert store.unfinished() == newest


@pytest.mark.parametrize("rest", [(), (("2", 60, False),)], ids=["no rest", "rest"])
def test_lost_parts_are_no_whole_inventory(
    subject: Subject, rest: tuple[tuple[str, int, bool], ...]
) -> None:
    store, part = subject.warehouse.inventories(), part_of(1)
    store.begin_parts(str(part.snapshot.staging))
    with entries_of(part, ("1", 60, False)) as first:
        store.save_part(part, first)
    subject.backend.drop_staging(str(part.snapshot.staging))
    assert store.unfinished() is None
    with entries_of(part, *rest) as entries:
        with pytest.raises(BatchGone):
            store.store(part.snapshot, entries)
        if rest:
            with pytest.raises(BatchGone):
                store.save_part(part, entries)


def test_whole_inventory_in_parts_needs_no_rest(subject: Subject) -> None:
    store, part = subject.warehouse.inventories(), part_of(1)
    store.begin_parts(str(part.snapshot.staging))
    with entries_of(part, ("1", 60, False)) as first:
        store.save_part(part, first)
    with entries_of(part) as nothing:
        assert store.store(part.snapshot, nothing).listed == 1
