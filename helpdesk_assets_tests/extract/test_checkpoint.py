"""A long reading is stored first and noted then, from time to time, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.extract.checkpoint import Keeping
from helpdesk_assets.extract.fetch import Fetch
from helpdesk_assets.extract.plan import WENT_ON, Ask, Options, Plan, plan_run
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.state import SyncState, Unfinished
from helpdesk_assets.spool import Spool
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, PaperHelpdesk, page, ticket


@dataclass
class PaperStore:
    """Writes down what happens, in order; dies where it is told to."""

    events: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    noted: Unfinished | None = None
    seqs: list[int] = field(default_factory=list)

    def begin(self, staging: str) -> None:
        self.events.append(f"begin {staging}")

    def add_rows(self, spool: Spool, staging: str) -> None:
        rows = [json.loads(line) for line in spool.lines()]
        self.stored += [row["ticket_id"] for row in rows]
        self.seqs += [row["_seq"] for row in rows]
        self.events.append(f"store {len(rows)} in {staging}")

    def note(self, unfinished: Unfinished, seen_version: int) -> None:
        self.noted = unfinished
        self.events.append(f"note {unfinished.resume} on {seen_version}")


def plan_of(state: SyncState | None, ask: Ask = Ask.AUTO) -> Plan:
    return plan_run(
        state,
        Options(ask),
        adopted=None,
        overlap=timedelta(minutes=5),
        capabilities=PaperHelpdesk().capabilities,
    )


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool(1_000_000) as made:
        yield made


def read(
    desk: PaperHelpdesk,
    store: PaperStore,
    spool: Spool,
    plan: Plan,
    pages_per_save: int = 2,
    run_id: str = "run-1",
) -> Manifest:
    """The clock ticks once at each look, twice a page: when it is due, and the pace."""
    ticks = count()
    keeping = Keeping(
        store, timedelta(seconds=pages_per_save), timer=lambda: next(ticks), clock=lambda: NOON
    )
    return Fetch(desk, spool, run_id=run_id, keeping=keeping).run(plan).manifest


def pages(first: int, last: int) -> list[object]:
    return [page(ticket(str(n), 60), resume=f"after {n}", share=n / 5) for n in range(first, last)]


def test_rows_are_stored_before_it_is_noted_that_they_are(spool: Spool) -> None:
    store = PaperStore()
    manifest = read(PaperHelpdesk(pages(1, 6)), store, spool, plan_of(None))  # type: ignore[arg-type]
    kinds = [event.split()[0] for event in store.events]
    assert kinds[:3] == ["begin", "store", "note"]
    assert kinds.count("begin") == 1
    assert kinds[-1] == "store"
    assert store.stored == ["1", "2", "3", "4", "5"]
    assert (manifest.rows, manifest.versions) == (5, None)
    assert manifest.staging is not None
    assert {event.split()[-1] for event in store.events if "store" in event} == {manifest.staging}
    assert spool.rows == 0


def test_a_short_reading_is_not_kept(spool: Spool) -> None:
    store = PaperStore()
    manifest = read(PaperHelpdesk(pages(1, 6)), store, spool, plan_of(None), 1000)  # type: ignore[arg-type]
    assert store.events == []
    assert manifest.versions is not None
    assert spool.rows == 5


def test_pages_that_cannot_be_gone_on_from_are_kept_with_the_next_that_can(spool: Spool) -> None:
    store = PaperStore()
    bare = [page(ticket("0", 60)), page(ticket("00", 60)), *pages(1, 2)]
    read(PaperHelpdesk(bare), store, spool, plan_of(None), 1)  # type: ignore[arg-type]
    assert store.stored == ["0", "00", "1"]
    assert store.events[2] == "note after 1 on 0"


def test_a_range_that_was_asked_for_is_not_kept(spool: Spool) -> None:
    store = PaperStore()
    plan = replace(plan_of(None), is_range=True)
    read(PaperHelpdesk(pages(1, 6)), store, spool, plan)  # type: ignore[arg-type]
    assert store.events == []


def interrupted() -> Unfinished:
    store = PaperStore()
    desk = PaperHelpdesk([*pages(1, 4), EndpointFailed("gone")])  # type: ignore[list-item]
    with Spool(1_000_000) as spool, pytest.raises(EndpointFailed):
        read(desk, store, spool, plan_of(None), 1)
    assert store.noted is not None
    return store.noted


def test_what_is_stored_is_not_thrown_away_for_the_listing(spool: Spool) -> None:
    desk = PaperHelpdesk([*pages(1, 4), EndpointFailed("GET /x answered 500.")], [page()])  # type: ignore[list-item]
    with pytest.raises(EndpointFailed, match="the next run goes on from there"):
        read(desk, PaperStore(), spool, plan_of(None), 1)


def test_a_listing_that_is_the_same_endpoint_is_not_tried(spool: Spool) -> None:
    desk = PaperHelpdesk([EndpointFailed("GET /x answered 500.")], [page()], another_way=False)
    with pytest.raises(EndpointFailed, match=r"answered 500\.$"):
        read(desk, PaperStore(), spool, plan_of(None))


def test_the_next_run_adds_to_the_same_table(spool: Spool) -> None:
    begun = interrupted()
    plan = plan_of(SyncState("tickets", None, 0, unfinished=begun))
    assert (plan.mode, plan.first_load, plan.since) == (Mode.FULL, True, None)
    assert plan.reason == f"first load{WENT_ON}"
    desk, store = PaperHelpdesk(pages(4, 6)), PaperStore()  # type: ignore[arg-type]
    manifest = read(desk, store, spool, plan, 1000, run_id="run-2")
    assert desk.resumed == [begun.resume]
    assert manifest.staging == begun.staging
    # A batch of its own: that of a run that got further may be merged, and this one not yet.
    assert manifest.batch_id not in begun.staging
    assert (manifest.rows, manifest.pages) == (begun.rows + 2, begun.pages + 2)
    # What the table holds may be more than was noted, and nobody knows of it.
    assert manifest.saved
    assert manifest.may_have_tombstones
    assert store.stored == ["4", "5"]
    assert not any("begin" in event for event in store.events)


def test_each_reading_of_a_batch_comes_behind_those_before(spool: Spool) -> None:
    """Whichever of them died before it could note what it had stored."""
    plan = plan_of(SyncState("tickets", None, 0, unfinished=interrupted()))
    store = PaperStore()
    clock = iter([NOON, NOON, NOON + timedelta(seconds=1), NOON + timedelta(seconds=1)])
    for _ in range(2):
        desk, keeping = PaperHelpdesk(pages(4, 6)), Keeping(store, timedelta(0))  # type: ignore[arg-type]
        Fetch(desk, spool, run_id="run-1", keeping=keeping, clock=lambda: next(clock)).run(plan)
    assert store.seqs == sorted(set(store.seqs))
    assert len(store.seqs) == 4


def test_nothing_more_to_read_is_an_end_as_well(spool: Spool) -> None:
    begun = interrupted()
    plan = plan_of(SyncState("tickets", None, 0, unfinished=begun))
    manifest = read(PaperHelpdesk([page()]), PaperStore(), spool, plan)
    assert (manifest.rows, manifest.staging) == (begun.rows, begun.staging)
    assert manifest.versions is None


@pytest.mark.parametrize("ask", [Ask.FULL, Ask.INCREMENTAL])
def test_who_asks_for_something_else_gets_that(ask: Ask) -> None:
    state = SyncState("tickets", NOON, 3, unfinished=interrupted())
    assert plan_of(state, ask).unfinished is None


def test_another_helpdesks_reading_is_none_to_go_on_with() -> None:
    begun = replace(interrupted(), provider="another")
    assert plan_of(SyncState("tickets", None, 0, unfinished=begun)).unfinished is None
