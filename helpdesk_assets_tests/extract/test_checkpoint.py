"""A long fetch saves its batch and then its checkpoint from time to time, and is resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.extract.checkpoint import CheckpointPolicy
from helpdesk_assets.extract.fetch import BatchFetcher
from helpdesk_assets.extract.plan import RESUMED, Plan, RequestedMode, SyncRequest, plan_run
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.state import Checkpoint, SyncState
from helpdesk_assets.spool import Spool
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, FakeHelpdesk, page, ticket


@dataclass
class FakeCheckpointStore:
    """Records what happens, in order; dies where it should."""

    events: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    noted: Checkpoint | None = None
    seqs: list[int] = field(default_factory=list)

    def begin(self, staging: str) -> None:
        self.events.append(f"begin {staging}")

    def add_rows(self, spool: Spool, staging: str) -> None:
        rows = [json.loads(line) for line in spool.lines()]
        self.stored += [row["ticket_id"] for row in rows]
        self.seqs += [row["_seq"] for row in rows]
        self.events.append(f"store {len(rows)} in {staging}")

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        self.noted = checkpoint
        self.events.append(f"save {checkpoint.resume} on {expected_version}")


def plan_of(state: SyncState | None, requested_mode: RequestedMode = RequestedMode.AUTO) -> Plan:
    return plan_run(
        state,
        SyncRequest(requested_mode),
        adopted=None,
        overlap=timedelta(minutes=5),
        capabilities=FakeHelpdesk().capabilities,
    )


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool(1_000_000) as made:
        yield made


def read(
    helpdesk: FakeHelpdesk,
    store: FakeCheckpointStore,
    spool: Spool,
    plan: Plan,
    pages_per_save: int = 2,
    run_id: str = "run-1",
) -> Manifest:
    """Fetch with a clock that ticks at each look: twice per page, for interval and for pace."""
    ticks = count()
    checkpoint_policy = CheckpointPolicy(
        store, timedelta(seconds=pages_per_save), monotonic=lambda: next(ticks), now=lambda: NOON
    )
    return (
        BatchFetcher(helpdesk, spool, run_id=run_id, checkpoint_policy=checkpoint_policy)
        .run(plan)
        .manifest
    )


def pages(first: int, last: int) -> list[object]:
    return [page(ticket(str(n), 60), resume=f"after {n}", share=n / 5) for n in range(first, last)]


def test_rows_are_stored_before_the_checkpoint(spool: Spool) -> None:
    store = FakeCheckpointStore()
    manifest = read(FakeHelpdesk(pages(1, 6)), store, spool, plan_of(None))  # type: ignore[arg-type]
    kinds = [event.split()[0] for event in store.events]
    assert kinds[:3] == ["begin", "store", "save"]
    assert kinds.count("begin") == 1
    assert kinds[-1] == "store"
    assert store.stored == ["1", "2", "3", "4", "5"]
    assert (manifest.rows, manifest.versions) == (5, None)
    assert manifest.staging is not None
    assert {event.split()[-1] for event in store.events if "store" in event} == {manifest.staging}
    assert spool.rows == 0


def test_short_read_is_not_checkpointed(spool: Spool) -> None:
    store = FakeCheckpointStore()
    manifest = read(FakeHelpdesk(pages(1, 6)), store, spool, plan_of(None), 1000)  # type: ignore[arg-type]
    assert store.events == []
    assert manifest.versions is not None
    assert spool.rows == 5


def test_pages_without_a_position_are_checkpointed_with_the_next(spool: Spool) -> None:
    store = FakeCheckpointStore()
    bare = [page(ticket("0", 60)), page(ticket("00", 60)), *pages(1, 2)]
    read(FakeHelpdesk(bare), store, spool, plan_of(None), 1)  # type: ignore[arg-type]
    assert store.stored == ["0", "00", "1"]
    assert store.events[2] == "save after 1 on 0"


def test_requested_range_is_not_checkpointed(spool: Spool) -> None:
    store = FakeCheckpointStore()
    plan = replace(plan_of(None), is_range=True)
    read(FakeHelpdesk(pages(1, 6)), store, spool, plan)  # type: ignore[arg-type]
    assert store.events == []


def interrupted() -> Checkpoint:
    store = FakeCheckpointStore()
    helpdesk = FakeHelpdesk([*pages(1, 4), EndpointFailed("gone")])  # type: ignore[list-item]
    with Spool(1_000_000) as spool, pytest.raises(EndpointFailed):
        read(helpdesk, store, spool, plan_of(None), 1)
    assert store.noted is not None
    return store.noted


def test_checkpoint_is_not_dropped_for_the_listing(spool: Spool) -> None:
    helpdesk = FakeHelpdesk([*pages(1, 4), EndpointFailed("GET /x answered 500.")], [page()])  # type: ignore[list-item]
    with pytest.raises(EndpointFailed, match="the next run goes on from there"):
        read(helpdesk, FakeCheckpointStore(), spool, plan_of(None), 1)


def test_listing_by_the_same_endpoint_is_not_tried(spool: Spool) -> None:
    helpdesk = FakeHelpdesk(
        [EndpointFailed("GET /x answered 500.")], [page()], listing_is_independent=False
    )
    with pytest.raises(EndpointFailed, match=r"answered 500\.$"):
        read(helpdesk, FakeCheckpointStore(), spool, plan_of(None))


def test_next_run_appends_to_the_same_table(spool: Spool) -> None:
    begun = interrupted()
    plan = plan_of(SyncState("tickets", None, 0, checkpoint=begun))
    assert (plan.mode, plan.first_load, plan.since) == (Mode.FULL, True, None)
    assert plan.reason == f"first load{RESUMED}"
    helpdesk, store = FakeHelpdesk(pages(4, 6)), FakeCheckpointStore()  # type: ignore[arg-type]
    manifest = read(helpdesk, store, spool, plan, 1000, run_id="run-2")
    assert helpdesk.resumed == [begun.resume]
    assert manifest.staging == begun.staging
    # A separate batch: that of a run which got further may be merged before this one.
    assert manifest.batch_id not in begun.staging
    assert (manifest.rows, manifest.pages) == (begun.rows + 2, begun.pages + 2)
    # The table may contain more rows than the checkpoint counts.
    assert manifest.has_checkpoint
    assert manifest.may_have_tombstones
    assert store.stored == ["4", "5"]
    assert not any("begin" in event for event in store.events)


def test_sequence_numbers_grow_across_attempts(spool: Spool) -> None:
    """Also if an attempt died before it could save what it had stored."""
    plan = plan_of(SyncState("tickets", None, 0, checkpoint=interrupted()))
    store = FakeCheckpointStore()
    now = iter([NOON, NOON, NOON + timedelta(seconds=1), NOON + timedelta(seconds=1)])
    for _ in range(2):
        helpdesk = FakeHelpdesk(pages(4, 6))  # type: ignore[arg-type]
        checkpoint_policy = CheckpointPolicy(store, timedelta(0))
        BatchFetcher(
            helpdesk,
            spool,
            run_id="run-1",
            checkpoint_policy=checkpoint_policy,
            now=lambda: next(now),
        ).run(plan)
    assert store.seqs == sorted(set(store.seqs))
    assert len(store.seqs) == 4


def test_resuming_with_nothing_left_completes_the_batch(spool: Spool) -> None:
    begun = interrupted()
    plan = plan_of(SyncState("tickets", None, 0, checkpoint=begun))
    manifest = read(FakeHelpdesk([page()]), FakeCheckpointStore(), spool, plan)
    assert (manifest.rows, manifest.staging) == (begun.rows, begun.staging)
    assert manifest.versions is None


@pytest.mark.parametrize("requested_mode", [RequestedMode.FULL, RequestedMode.INCREMENTAL])
def test_other_requests_ignore_the_checkpoint(requested_mode: RequestedMode) -> None:
    state = SyncState("tickets", NOON, 3, checkpoint=interrupted())
    assert plan_of(state, requested_mode).checkpoint is None


def test_checkpoint_of_another_helpdesk_is_ignored() -> None:
    begun = replace(interrupted(), provider="another")
    assert plan_of(SyncState("tickets", None, 0, checkpoint=begun)).checkpoint is None
