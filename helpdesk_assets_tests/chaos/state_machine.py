"""The rules by which Hypothesis makes stories up, and shortens those that end badly."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from helpdesk_assets.extract.plan import Ask
from helpdesk_assets_tests.chaos.environment import Stage
from helpdesk_assets_tests.chaos.fault_proxy import KINDS, Fault
from helpdesk_assets_tests.chaos.scenario import Kind, Story

PHASES = ("fetch", "store", "missed", "merge", "close")
DAY = timedelta(days=1)
# Around the bounds that matter: a tick, the overlap and the grace (300 s each), and far beyond.
WAITS = (1, 2, 60, 299, 301, 400, 1000, 7200)
# Those of the helpdesk that a run gets over, or fails by and says so. `changes_while_paging` is
# apart, since it changes tickets; what is left out is named in docs/reliability.md with the reason.
HELPDESK_FAULTS: dict[str, dict[str, Any]] = {
    "error_500": {},
    "rate_limit_429": {},
    "rate_limit": {"calls": 1},
    "drop_connection": {},
    "truncated_json": {},
    "page_cut_short": {"keep": 1},
    "empty_page": {},
    "not_json": {},
    "missing_fields": {},
    "repeated_token": {},
    "repeated_rows": {"rows": 2},
    "search_lag": {"seconds": 120.0},
    "latency": {"seconds": 0.002},
    "bad_ticket": {},
}
TROUBLES = ("stale", "cut", "hidden", "twice", "missed", "killed", "failed", "repeated")
which = st.lists(st.integers(0, 7), min_size=1, max_size=4)
asks = st.sampled_from((Ask.AUTO, Ask.AUTO, Ask.FULL))
waits = st.sampled_from(WAITS)


class Chaos(RuleBasedStateMachine):
    """One story each; `on_stage` makes it a machine that can be run."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.story: Story | None = None

    def begin(
        self,
        tickets: int,
        by_events: bool,
        page_size: int,
        saves: bool,
        stages: bool,
        loaded: bool,
        days_off: int,
        trouble: str,
        at: int,
    ) -> None:
        kind = Kind(tickets, by_events, page_size, saves, stages)
        self.story = Story(self.stage, kind).__enter__()
        self.story.clock_off = days_off * DAY
        if loaded:
            self.story.run()
            self.story.desk.advance(1000)
            self._begin_with(trouble, at)

    def _begin_with(self, trouble: str, at: int) -> None:
        """Each story is given one of the oldest troubles on its way: left to chance alone, what
        needs three things to come together would not happen within a short profile."""
        story = self.now
        match trouble:
            case "hidden":
                self.lose_the_older_and_hear_the_newer(at)
            case "killed":
                self.change_and_kill_a_run_at_a_job(at, "after", Ask.AUTO)
            case "failed":
                self.change_and_run_while_the_warehouse_fails("503", 99, at, True, Ask.AUTO)
            case "twice":
                self.change_one_twice(at, 0, True)
            case "missed":
                story.desk.change(ids=self._ids([at]))
                story.settle()
            case "stale":
                self.change_one_twice(at, 5, False)
                # The newer webhook, and then the older one.
                for _ in range(2):
                    story.deliver([-1])
                    story.check()
            case "cut" | "repeated":
                for _ in range(4):
                    story.changed(story.desk.create(1), "created")
                    story.desk.advance(2)
                fault = "page_cut_short" if trouble == "cut" else "repeated_rows"
                self._run_with(fault, "all", -1, 0, Ask.AUTO)

    @property
    def now(self) -> Story:
        assert self.story is not None
        self.story.counts["steps"] += 1
        return self.story

    # The helpdesk.

    @rule(count=st.integers(1, 2))
    def create(self, count: int) -> None:
        story = self.now
        story.changed(story.desk.create(count), "created")

    @rule(which=which, spread=st.sampled_from((0, 8, 700)))
    def change(self, which: list[int], spread: int) -> None:
        story = self.now
        if ids := self._ids(which):
            story.changed(story.desk.change(ids=ids, spread_seconds=spread))

    @rule(which=st.integers(0, 7), wait=st.sampled_from((0, 0, 5)), heard=st.booleans())
    def change_one_twice(self, which: int, wait: int, heard: bool) -> None:
        """Within one second, or almost; the first webhook may be there before the second change."""
        story = self.now
        for _ in range(2):
            if ids := self._ids([which]):
                story.changed(story.desk.change(ids=ids))
                if heard and not _:
                    story.deliver([-1])
                story.desk.advance(wait)

    @rule(which=st.integers(0, 7))
    def delete(self, which: int) -> None:
        story = self.now
        if len(story.living()) > 1:
            story.gone(story.desk.delete(ids=self._ids([which])))

    @rule(which=st.integers(0, 7))
    def merge(self, which: int) -> None:
        story = self.now
        ids = self._ids([which, which + 1])
        if len(ids) == 2:
            story.merge(*ids)

    @rule(seconds=waits)
    def wait(self, seconds: int) -> None:
        self.now.desk.advance(seconds)

    @rule(days=st.sampled_from((1, -1, 0)))
    def put_our_clock_off(self, days: int) -> None:
        self.now.clock_off = days * DAY

    # Webhooks. Those that are not spoken of are under way, for as long as nobody speaks of them.

    @precondition(lambda self: self.story.letters)
    @rule(which=which, twice=st.booleans())
    def deliver(self, which: list[int], twice: bool) -> None:
        self.now.deliver(which, twice=twice)

    @precondition(lambda self: self.story.letters)
    @rule(newest_first=st.booleans(), seconds=waits)
    def deliver_all_late(self, newest_first: bool, seconds: int) -> None:
        story = self.now
        story.desk.advance(seconds)
        numbers = list(range(len(story.letters)))
        story.deliver(numbers[::-1] if newest_first else numbers)

    @precondition(lambda self: self.story.letters)
    @rule(which=which)
    def lose(self, which: list[int]) -> None:
        self.now.lose(which)

    @precondition(lambda self: self.story.letters)
    @rule(kind=st.sampled_from(KINDS), count=st.integers(1, 2), after=st.integers(0, 1))
    def deliver_while_the_warehouse_fails(self, kind: str, count: int, after: int) -> None:
        story = self.now
        self._fail_warehouse(Fault(kind, count, after))
        story.deliver([0, 1])
        story.stage.proxy.clear()

    @rule(which=st.integers(0, 7))
    def lose_the_older_and_hear_the_newer(self, which: int) -> None:
        """What MAX(modifiedTime) as a watermark hides."""
        story = self.now
        first, second = self._ids([which])[:1], self._ids([which + 1])[:1]
        lost = story.desk.change(ids=first)
        story.counts["webhooks lost"] += len(lost)
        story.desk.advance(400)
        story.changed(story.desk.change(ids=second))
        story.deliver([-1])

    # Runs, one after another.

    @rule(ask=asks)
    def run(self, ask: Ask) -> None:
        self.now.run(ask)

    @rule(ask=asks)
    def run_again_after_a_while(self, ask: Ask) -> None:
        story = self.now
        story.desk.advance(500)
        story.run(ask)

    @rule(back=st.sampled_from((10, 500, 5000)), length=st.sampled_from((None, 5, 400)))
    def repair_a_range(self, back: int, length: int | None) -> None:
        story = self.now
        since = story.desk.clock().now - timedelta(seconds=back)
        until = None if length is None else since + timedelta(seconds=length)
        story.run(since=since, until=until)

    @rule(which=st.integers(0, 7), newest_first=st.booleans())
    def change_and_delete_in_one_second(self, which: int, newest_first: bool) -> None:
        story = self.now
        if len(story.living()) > 1:
            ids = self._ids([which])
            story.changed(story.desk.change(ids=ids))
            story.gone(story.desk.delete(ids=ids))
            story.deliver([-1, -2] if newest_first else [-2, -1])

    @rule(which=which)
    def repair_by_id(self, which: list[int]) -> None:
        self.now.repair(self._ids(which))

    @rule(fault=st.sampled_from((None, "page_cut_short", "empty_page", "changes_while_paging")))
    def reconcile(self, fault: str | None) -> None:
        """Also from a list that is cut, or that shifts while it is read."""
        story = self.now
        story.desk.advance(1000)
        if fault is not None:
            story.counts["helpdesk faults"] += 1
            params = {"changes": 1} if "changes" in fault else HELPDESK_FAULTS[fault]
            story.desk.fault(fault, count=2, **params)
        story.reconcile(fails=fault is not None)
        story.desk.clear_faults()

    @rule(back=st.sampled_from((500, 5000, 90_000)))
    def backfill(self, back: int) -> None:
        self.now.backfill(timedelta(seconds=back))

    @rule(
        name=st.sampled_from(tuple(HELPDESK_FAULTS)),
        on=st.sampled_from(("all", "search", "all")),
        count=st.sampled_from((1, 3, -1)),
        after=st.integers(0, 1),
        ask=asks,
    )
    def run_while_the_helpdesk_fails(
        self, name: str, on: str, count: int, after: int, ask: Ask
    ) -> None:
        if name == "page_cut_short":
            # Cut in the same way twice, a second that fills more than a page looks whole.
            count = 1
        self._run_with(name, on, count, after, ask)

    def _run_with(self, name: str, on: str, count: int, after: int, ask: Ask) -> None:
        story = self.now
        story.counts["helpdesk faults"] += 1
        story.counts[f"helpdesk faults: {name}"] += 1
        if name == "search_lag":
            story.checks.lag = timedelta(seconds=300)
            story.book.has_hidden = True
        story.desk.fault(name, on=on, count=count, after=after, **HELPDESK_FAULTS[name])
        story.run(ask, fails=True)
        story.desk.clear_faults()

    @rule(on=st.sampled_from(("all", "search", "listing")), fails=st.booleans())
    def run_while_tickets_change(self, on: str, fails: bool) -> None:
        """Between the pages of one list; where the search fails, of the listing."""
        story = self.now
        story.counts["helpdesk faults"] += 1
        story.counts["helpdesk faults: changes_while_paging"] += 1
        if fails:
            story.desk.fault("error_500", on="search")
        story.desk.fault("changes_while_paging", on=on, changes=1, advance_seconds=2.0, count=3)
        story.run(fails=True)
        story.desk.clear_faults()

    @rule(
        kind=st.sampled_from(KINDS),
        count=st.sampled_from((99, 99, 1)),
        after=st.integers(0, 4),
        on_jobs=st.sampled_from((True, True, False)),
        ask=asks,
    )
    def change_and_run_while_the_warehouse_fails(
        self, kind: str, count: int, after: int, on_jobs: bool, ask: Ask
    ) -> None:
        story = self.now
        self._change_unheard()
        self._fail_warehouse(Fault(kind, count, after, on_jobs))
        story.run(ask, fails=True)
        story.stage.proxy.clear()

    @rule()
    def run_while_nobody_listens(self) -> None:
        story = self.now
        story.counts["warehouse faults"] += 1
        story.counts["warehouse faults: refused"] += 1
        # Port 9, discard: nothing on this machine has it.
        story.run(fails=True, bigquery_emulator_host="http://127.0.0.1:9")

    @rule(phase=st.sampled_from(PHASES), ask=asks)
    def kill_a_run_after(self, phase: str, ask: Ask) -> None:
        self.now.run_and_kill(ask, phase=phase)

    @rule(call=st.integers(1, 25), moment=st.sampled_from(("before", "after")), ask=asks)
    def kill_a_run_at_a_call(self, call: int, moment: str, ask: Ask) -> None:
        self.now.run_and_kill(ask, call=call, moment=moment)

    @rule(job=st.integers(1, 4), moment=st.sampled_from(("before", "after")), ask=asks)
    def change_and_kill_a_run_at_a_job(self, job: int, moment: str, ask: Ask) -> None:
        story = self.now
        self._change_unheard()
        story.run_and_kill(ask, call=job, moment=moment, jobs=True)

    # Runs at once.

    @rule(
        phase=st.sampled_from(PHASES[:-1]),
        change=st.booleans(),
        run=st.booleans(),
        seconds=st.sampled_from((0, 1, 60, 400)),
        ask=asks,
        other=asks,
    )
    def hold_a_run_after(
        self, phase: str, change: bool, run: bool, seconds: int, ask: Ask, other: Ask
    ) -> None:
        """A run stops for a while; meanwhile tickets change, webhooks come, others run."""
        story = self.now
        story.counts["runs at once"] += run

        def meanwhile(done: str) -> None:
            if done != phase:
                return
            if change and (ids := self._ids([0, 1])):
                story.changed(story.desk.change(ids=ids))
            story.desk.advance(seconds)
            if story.letters:
                story.deliver([-1])
            if run:
                story.run(other, fails=True)

        story.run(ask, fails=run, on_phase=meanwhile)

    @rule(ask=asks)
    def run_two_at_once(self, ask: Ask) -> None:
        """In threads. Which is first is chance, so that such a story may not be told again the
        same; what must hold is the same whoever wins."""
        story = self.now
        story.counts["runs at once"] += 1
        failures: list[BaseException] = []

        def run() -> None:
            try:
                story.run(ask, fails=True)
            except BaseException as error:  # noqa: BLE001 - handed over to the story's own thread
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    @rule()
    def settle(self) -> None:
        self.now.settle()

    @invariant()
    def holds(self) -> None:
        if self.story is not None:
            self.story.check()

    def teardown(self) -> None:
        story, self.story = self.story, None
        if story is None:
            return
        try:
            story.settle()
        finally:
            with suppress(Exception):
                story.__exit__()

    def _ids(self, numbers: list[int]) -> list[str]:
        """Living tickets by number, each once."""
        assert self.story is not None
        living = self.story.living()
        return list(dict.fromkeys(living[number % len(living)] for number in numbers))

    def _change_unheard(self) -> None:
        """Something for a run to lose: nobody else tells of it for now."""
        assert self.story is not None
        desk = self.story.desk
        self.story.changed(desk.change(ids=self._ids([0, 1]), spread_seconds=4))
        desk.advance(60)

    def _fail_warehouse(self, fault: Fault) -> None:
        assert self.story is not None
        self.story.counts["warehouse faults"] += 1
        self.story.counts[f"warehouse faults: {fault.kind}"] += 1
        self.story.stage.proxy.order(fault)


def on_stage(stage: Stage, troubles: Sequence[str] = TROUBLES) -> type[Chaos]:
    """Stories that are given one of these troubles on their way."""
    begin = initialize(
        tickets=st.integers(2, 7),
        by_events=st.sampled_from((True, False)),
        page_size=st.sampled_from((3, 2, 100)),
        saves=st.sampled_from((False, False, True)),
        stages=st.sampled_from((False, False, False, True)),
        loaded=st.sampled_from((True, True, True, False)),
        days_off=st.sampled_from((0, 1, -1)),
        trouble=st.sampled_from(troubles),
        # The third first: the job that comes before or after what a run may do too early.
        at=st.sampled_from((3, 1, 2, 4)),
    )(Chaos.begin)
    # Where Hypothesis chooses the same each time, it chooses by this name.
    name = "_".join(("Chaos", *troubles))
    return type(name, (Chaos,), {"stage": stage, "begin": begin})
