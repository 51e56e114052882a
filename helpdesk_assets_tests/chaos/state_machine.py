"""Rules by which Hypothesis builds scenarios and shortens failing ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.fault_proxy import KINDS, Fault
from helpdesk_assets_tests.chaos.other_hands import OtherHands
from helpdesk_assets_tests.chaos.overlapping_writers import SURELY_OVERLAPPING, OverlappingWriters
from helpdesk_assets_tests.chaos.scenario import Scenario, ScenarioOptions
from helpdesk_assets_tests.chaos.waiting_webhooks import JOBS, WaitingWebhooks

PHASES = ("fetch", "store", "missed", "merge", "close")
# After it, a run has read and not begun to write: another one need not wait for it.
READ = PHASES[0]
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
TROUBLES = (
    "stale", "cut", "hidden", "twice", "missed", "killed", "failed", "repeated",
    "lost", "put back", "other account", "old batch", "unseen", "in the trash", "doubled", "held",
    "clocks", "two writers", "drain killed", "drain beside",
)  # fmt: skip
LEDGERS: Mapping[tuple[str, ...], tuple[bool, ...]] = {
    ("missed",): (False,),
    ("drain killed",): (True,),
    ("drain beside",): (True,),
}
which = st.lists(st.integers(0, 7), min_size=1, max_size=4)
asks = st.sampled_from((RequestedMode.AUTO, RequestedMode.AUTO, RequestedMode.FULL))
waits = st.sampled_from(WAITS)


class Chaos(OtherHands, OverlappingWriters, WaitingWebhooks):
    """One scenario; `machine_for` makes a state machine of it."""

    environment: Environment

    def __init__(self) -> None:
        super().__init__()
        self.scenario: Scenario | None = None

    def begin(
        self,
        tickets: int,
        by_events: bool,
        page_size: int,
        checkpoints: bool,
        uses_staging: bool,
        loaded: bool,
        days_off: int,
        trouble: str,
        at: int,
    ) -> None:
        kind = ScenarioOptions(tickets, by_events, page_size, checkpoints, uses_staging)
        self.scenario = Scenario(self.environment, kind).__enter__()
        self.scenario.clock_off = days_off * DAY
        if loaded:
            self.scenario.run()
            self.scenario.simulator.advance(1000)
            self._begin_with(trouble, at)

    def _begin_with(self, trouble: str, at: int) -> None:
        """Put one of the known troubles into the scenario.

        By chance alone, combinations of three conditions would not occur within a short profile.
        """
        scenario = self.current
        match trouble:
            case "hidden":
                self.lose_the_older_and_hear_the_newer(at)
            case "killed":
                self.change_and_kill_a_run_at_a_job(at, "after", RequestedMode.AUTO)
            case "failed":
                self.change_and_run_while_the_warehouse_fails(
                    "503", 99, at, True, RequestedMode.AUTO
                )
            case "twice":
                self.change_one_twice(at, 0, True)
            case "missed":
                scenario.simulator.change(ids=self._ids([at]))
                scenario.sync_and_verify()
            case "stale":
                self.change_one_twice(at, 5, False)
                # The newer webhook, and then the older one, which one drain would never write.
                for _ in range(2):
                    scenario.deliver([-1])
                    scenario.drain()
                    scenario.check()
            case "lost":
                self.lose_a_table("tickets", ("drop", "empty")[at % 2])
                scenario.run()
            case "put back":
                self.put_tickets_back(at)
            case "other account":
                self.sync_another_account(RequestedMode.AUTO)
            case "old batch":
                self.restore_before_a_run_closes(at)
            case "unseen":
                self.take_rights_for_a_while(at, True, 0)
            case "in the trash":
                self.delete_and_restore(at, False, True)
            case "doubled":
                self.double_rows(at, "tickets")
                scenario.run()
            case "held":
                self.hold_a_run_over_two_edits_of_one_second(at)
            case "clocks":
                self.run_while_the_date_is_ahead(at)
                self.put_our_clock_off(1)
                scenario.run()
                scenario.check()
            case "two writers":
                self.write_new_tickets_at_once(SURELY_OVERLAPPING[at % len(SURELY_OVERLAPPING)], 2)
            case "drain killed":
                self.kill_a_drain_after_a_job(2, JOBS)
            case "drain beside":
                self.write_new_tickets_at_once("drain", 2)
                self.receive_twice_beside_a_run(2)
            case "cut" | "repeated":
                for _ in range(4):
                    scenario.record_changed(scenario.simulator.create(1), "created")
                    scenario.simulator.advance(2)
                fault = "page_cut_short" if trouble == "cut" else "repeated_rows"
                if trouble == "repeated":
                    # A search is read by times, which leaves out what came before; a listing not.
                    scenario.simulator.fault("error_500", on="search", count=-1)
                self._run_with(fault, "all", -1, 0, RequestedMode.AUTO)

    @property
    def current(self) -> Scenario:
        assert self.scenario is not None
        self.scenario.counts["steps"] += 1
        return self.scenario

    # The helpdesk.

    @rule(count=st.integers(1, 2))
    def create(self, count: int) -> None:
        scenario = self.current
        scenario.record_changed(scenario.simulator.create(count), "created")

    @rule(which=which, spread=st.sampled_from((0, 8, 700)))
    def change(self, which: list[int], spread: int) -> None:
        scenario = self.current
        if ids := self._ids(which):
            scenario.record_changed(scenario.simulator.change(ids=ids, spread_seconds=spread))

    @rule(which=st.integers(0, 7), wait=st.sampled_from((0, 0, 5)), heard=st.booleans())
    def change_one_twice(self, which: int, wait: int, heard: bool) -> None:
        """Change one ticket twice within about a second.

        The first webhook may arrive before the second change.
        """
        scenario = self.current
        for _ in range(2):
            if ids := self._ids([which]):
                scenario.record_changed(scenario.simulator.change(ids=ids))
                if heard and not _:
                    scenario.deliver([-1])
                scenario.simulator.advance(wait)

    @rule(which=st.integers(0, 7))
    def delete(self, which: int) -> None:
        scenario = self.current
        if len(scenario.live_ids()) > 1:
            scenario.record_removed(scenario.simulator.delete(ids=self._ids([which])))

    @rule(which=st.integers(0, 7))
    def merge(self, which: int) -> None:
        scenario = self.current
        ids = self._ids([which, which + 1])
        if len(ids) == 2:
            scenario.merge(*ids)

    @rule(seconds=waits)
    def wait(self, seconds: int) -> None:
        self.current.simulator.advance(seconds)

    @rule(days=st.sampled_from((1, -1, 0)))
    def put_our_clock_off(self, days: int) -> None:
        self.current.clock_off = days * DAY

    # Webhooks. Those without a rule are in flight until a rule delivers them.

    @precondition(lambda self: self.scenario.pending)
    @rule(which=which, twice=st.booleans())
    def deliver(self, which: list[int], twice: bool) -> None:
        self.current.deliver(which, twice=twice)

    @precondition(lambda self: self.scenario.pending)
    @rule(newest_first=st.booleans(), seconds=waits)
    def deliver_all_late(self, newest_first: bool, seconds: int) -> None:
        scenario = self.current
        scenario.simulator.advance(seconds)
        numbers = list(range(len(scenario.pending)))
        scenario.deliver(numbers[::-1] if newest_first else numbers)

    @precondition(lambda self: self.scenario.pending)
    @rule(which=which)
    def lose(self, which: list[int]) -> None:
        self.current.lose(which)

    @precondition(lambda self: self.scenario.pending)
    @rule(kind=st.sampled_from(KINDS), count=st.integers(1, 2), after=st.integers(0, 1))
    def deliver_while_the_warehouse_fails(self, kind: str, count: int, after: int) -> None:
        scenario = self.current
        self._fail_warehouse(Fault(kind, count, after))
        scenario.deliver([0, 1])
        scenario.environment.proxy.clear()

    @rule(which=st.integers(0, 7))
    def lose_the_older_and_hear_the_newer(self, which: int) -> None:
        """Lose the older of two webhooks, which MAX(modifiedTime) as a watermark hides."""
        scenario = self.current
        first, second = self._ids([which])[:1], self._ids([which + 1])[:1]
        lost = scenario.simulator.change(ids=first)
        scenario.counts["webhooks lost"] += len(lost)
        # Beyond the overlap, and beyond what a window reaches back for a clock ahead.
        scenario.simulator.advance(4400)
        scenario.record_changed(scenario.simulator.change(ids=second))
        scenario.deliver([-1])

    # Runs, one after another.

    @rule(requested_mode=asks)
    def run(self, requested_mode: RequestedMode) -> None:
        self.current.run(requested_mode)

    @rule(requested_mode=asks)
    def run_again_after_a_while(self, requested_mode: RequestedMode) -> None:
        scenario = self.current
        scenario.simulator.advance(500)
        scenario.run(requested_mode)

    @rule(back=st.sampled_from((10, 500, 5000)), length=st.sampled_from((None, 5, 400)))
    def repair_a_range(self, back: int, length: int | None) -> None:
        scenario = self.current
        since = scenario.simulator.clock().now - timedelta(seconds=back)
        until = None if length is None else since + timedelta(seconds=length)
        scenario.run(since=since, until=until)

    @rule(which=st.integers(0, 7), newest_first=st.booleans())
    def change_and_delete_in_one_second(self, which: int, newest_first: bool) -> None:
        scenario = self.current
        if len(scenario.live_ids()) > 1:
            ids = self._ids([which])
            scenario.record_changed(scenario.simulator.change(ids=ids))
            scenario.record_removed(scenario.simulator.delete(ids=ids))
            scenario.deliver([-1, -2] if newest_first else [-2, -1])

    @rule(which=which)
    def repair_by_id(self, which: list[int]) -> None:
        self.current.repair(self._ids(which))

    @rule(fault=st.sampled_from((None, "page_cut_short", "empty_page", "changes_while_paging")))
    def reconcile(self, fault: str | None) -> None:
        """Reconcile, perhaps with a list that is truncated or that shifts while it is read."""
        scenario = self.current
        scenario.simulator.advance(1000)
        if fault is not None:
            scenario.counts["helpdesk faults"] += 1
            params = {"changes": 1} if "changes" in fault else HELPDESK_FAULTS[fault]
            scenario.simulator.fault(fault, count=2, **params)
        scenario.reconcile(fails=fault is not None)
        scenario.simulator.clear_faults()

    @rule(back=st.sampled_from((500, 5000, 90_000)))
    def backfill(self, back: int) -> None:
        self.current.backfill(timedelta(seconds=back))

    @rule(
        name=st.sampled_from(tuple(HELPDESK_FAULTS)),
        on=st.sampled_from(("all", "search", "all")),
        count=st.sampled_from((1, 3, -1)),
        after=st.integers(0, 1),
        requested_mode=asks,
    )
    def run_while_the_helpdesk_fails(
        self, name: str, on: str, count: int, after: int, requested_mode: RequestedMode
    ) -> None:
        if name == "page_cut_short":
            # If truncated equally twice, a second with more than a page looks complete.
            count = 1
        self._run_with(name, on, count, after, requested_mode)

    def _run_with(
        self, name: str, on: str, count: int, after: int, requested_mode: RequestedMode
    ) -> None:
        scenario = self.current
        scenario.counts["helpdesk faults"] += 1
        scenario.counts[f"helpdesk faults: {name}"] += 1
        if name == "search_lag":
            scenario.checks.lag = timedelta(seconds=300)
            scenario.expected_ledger.has_hidden_changes = True
        scenario.simulator.fault(name, on=on, count=count, after=after, **HELPDESK_FAULTS[name])
        scenario.run(requested_mode, fails=True)
        scenario.simulator.clear_faults()

    @rule(on=st.sampled_from(("all", "search", "listing")), fails=st.booleans())
    def run_while_tickets_change(self, on: str, fails: bool) -> None:
        """Change tickets between the pages of a search or, if that fails, of the listing."""
        scenario = self.current
        scenario.counts["helpdesk faults"] += 1
        scenario.counts["helpdesk faults: changes_while_paging"] += 1
        if fails:
            scenario.simulator.fault("error_500", on="search")
        scenario.simulator.fault(
            "changes_while_paging", on=on, changes=1, advance_seconds=2.0, count=3
        )
        scenario.run(fails=True)
        scenario.simulator.clear_faults()

    @rule(
        kind=st.sampled_from(KINDS),
        count=st.sampled_from((99, 99, 1)),
        after=st.integers(0, 4),
        on_jobs=st.sampled_from((True, True, False)),
        requested_mode=asks,
    )
    def change_and_run_while_the_warehouse_fails(
        self, kind: str, count: int, after: int, on_jobs: bool, requested_mode: RequestedMode
    ) -> None:
        scenario = self.current
        self._change_without_webhooks()
        self._fail_warehouse(Fault(kind, count, after, on_jobs))
        scenario.run(requested_mode, fails=True)
        scenario.environment.proxy.clear()

    @rule()
    def run_while_nobody_listens(self) -> None:
        scenario = self.current
        scenario.counts["warehouse faults"] += 1
        scenario.counts["warehouse faults: refused"] += 1
        # Port 9, discard: nothing on this machine uses it.
        scenario.run(fails=True, bigquery_emulator_host="http://127.0.0.1:9")

    @rule(phase=st.sampled_from(PHASES), requested_mode=asks)
    def kill_a_run_after(self, phase: str, requested_mode: RequestedMode) -> None:
        self.current.run_and_kill(requested_mode, phase=phase)

    @rule(call=st.integers(1, 25), moment=st.sampled_from(("before", "after")), requested_mode=asks)
    def kill_a_run_at_a_call(self, call: int, moment: str, requested_mode: RequestedMode) -> None:
        self.current.run_and_kill(requested_mode, call=call, moment=moment)

    @rule(job=st.integers(1, 4), moment=st.sampled_from(("before", "after")), requested_mode=asks)
    def change_and_kill_a_run_at_a_job(
        self, job: int, moment: str, requested_mode: RequestedMode
    ) -> None:
        scenario = self.current
        self._change_without_webhooks()
        scenario.run_and_kill(requested_mode, call=job, moment=moment, jobs=True)

    # Concurrent runs.

    @rule(
        phase=st.sampled_from(PHASES[:-1]),
        change=st.booleans(),
        run=st.booleans(),
        seconds=st.sampled_from((0, 1, 60, 400)),
        requested_mode=asks,
        other=asks,
    )
    def hold_a_run_after(
        self,
        phase: str,
        change: bool,
        run: bool,
        seconds: int,
        requested_mode: RequestedMode,
        other: RequestedMode,
    ) -> None:
        """Pause a run while tickets change, webhooks arrive and other runs work."""
        scenario = self.current
        scenario.counts["runs at once"] += run and phase == READ

        def meanwhile(done: str) -> None:
            if done != phase:
                return
            if change and (ids := self._ids([0, 1])):
                scenario.record_changed(scenario.simulator.change(ids=ids))
            scenario.simulator.advance(seconds)
            if scenario.pending:
                scenario.deliver([-1])
            if run and phase == READ:
                scenario.run(other, fails=True)

        scenario.run(requested_mode, fails=run, on_phase=meanwhile)

    @rule(which=st.integers(0, 7))
    def hold_a_run_over_two_edits_of_one_second(self, which: int) -> None:
        """Pause a run that has read the first edit, while others read the second and go on."""
        scenario = self.current
        ids = self._ids([which])
        scenario.simulator.change(ids=ids)

        def meanwhile(done: str) -> None:
            if done == READ:
                scenario.simulator.change(ids=ids)
                # The last window no longer reaches back to the edits.
                for seconds in (30, 1000, 1000):
                    scenario.simulator.advance(seconds)
                    scenario.run(fails=True)

        scenario.run(fails=True, on_phase=meanwhile)
        scenario.simulator.advance(1000)

    @rule(which=st.integers(0, 7))
    def run_while_the_date_is_ahead(self, which: int) -> None:
        """Answer with a `Date` that only our clock can show to be wrong."""
        scenario = self.current
        scenario.clock_off = timedelta(0)
        scenario.simulator.fault("date_ahead", seconds=7200.0)
        scenario.run(fails=True)
        scenario.check()
        scenario.simulator.clear_faults()
        # Rows count as read at the time that the answer gave. A scenario's clock is behind the
        # warehouse's, which therefore does not see that this time was wrong.
        scenario.simulator.advance(7200)
        scenario.record_changed(scenario.simulator.change(ids=self._ids([which])))

    @rule()
    def sync_and_verify(self) -> None:
        self.current.sync_and_verify()

    @invariant()
    def holds(self) -> None:
        if self.scenario is not None:
            self.scenario.check()

    def teardown(self) -> None:
        scenario, self.scenario = self.scenario, None
        if scenario is None:
            return
        try:
            scenario.sync_and_verify()
        finally:
            with suppress(Exception):
                scenario.__exit__()

    def _ids(self, numbers: list[int]) -> list[str]:
        """Return distinct live tickets by number."""
        assert self.scenario is not None
        live_ids = self.scenario.live_ids()
        return list(dict.fromkeys(live_ids[number % len(live_ids)] for number in numbers))

    def _change_without_webhooks(self) -> None:
        """Change tickets without webhooks, so that a run can lose something."""
        assert self.scenario is not None
        simulator = self.scenario.simulator
        self.scenario.record_changed(simulator.change(ids=self._ids([0, 1]), spread_seconds=4))
        simulator.advance(60)

    def _fail_warehouse(self, fault: Fault) -> None:
        assert self.scenario is not None
        self.scenario.counts["warehouse faults"] += 1
        self.scenario.counts[f"warehouse faults: {fault.kind}"] += 1
        self.scenario.environment.proxy.order(fault)


def machine_for(environment: Environment, troubles: Sequence[str] = TROUBLES) -> type[Chaos]:
    """Return a machine for scenarios that contain one of these troubles."""
    # Events show what was missed also after the merge; the table alone does not. Only events wait.
    ledgers = LEDGERS.get(tuple(troubles), (True, False))
    begin = initialize(
        tickets=st.integers(2, 7),
        by_events=st.sampled_from(ledgers),
        page_size=st.sampled_from((3, 2, 100)),
        checkpoints=st.sampled_from((False, False, True)),
        uses_staging=st.sampled_from((False, False, False, True)),
        loaded=st.sampled_from((True, True, True, False)),
        days_off=st.sampled_from((0, 1, -1)),
        trouble=st.sampled_from(troubles),
        # The third first: the job before or after the one that a run may do too early.
        at=st.sampled_from((3, 1, 2, 4)),
    )(Chaos.begin)
    # When derandomized, Hypothesis derives its choices from this name.
    name = "_".join(("Chaos", *troubles))
    return type(name, (Chaos,), {"environment": environment, "begin": begin})
