"""Rules by which people and other programs touch what a sync stands on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.chaos.tampering import RAW, RESTORED, STATE, TICKETS

if TYPE_CHECKING:
    from helpdesk_assets_tests.chaos.scenario import Scenario

# What an UPDATE by hand does to rows of tickets.
EDITS = (
    "modifiedTime = TIMESTAMP_SUB(modifiedTime, INTERVAL 1 HOUR)",
    "subject = 'edited by hand', status = NULL",
)
STATE_EDITS = (
    "watermark = TIMESTAMP_SUB(watermark, INTERVAL 2 HOUR)",
    "watermark = TIMESTAMP_ADD(watermark, INTERVAL 1 HOUR)",
    "watermark = NULL",
    "reason = 'set back by hand'",
    "reason = NULL",
    "reason = 'by_hand: set'",
    "facts = '{}'",
    "facts = NULL",
    "reading = 'none'",
    'recent_runs = \'[{"mode": "catch_up"}]\'',
    "unfinished = '{}'",
)
# The phase after which a run has written its batch and only closes.
WRITTEN = "merge"
numbers = st.integers(0, 7)


class OtherHands(RuleBasedStateMachine):
    """The rules; `Chaos` has the rest of the machine."""

    if TYPE_CHECKING:

        @property
        def current(self) -> Scenario: ...
        def _ids(self, numbers: list[int]) -> list[str]: ...
        def _change_without_webhooks(self) -> None: ...

    # Tables.

    @rule(table=st.sampled_from((TICKETS, TICKETS, RAW)), way=st.sampled_from(("drop", "empty")))
    def lose_a_table(self, table: str, way: str) -> None:
        scenario = self.current
        scenario.touch(f"{way} {table}")
        if way == "drop":
            scenario.tampering.drop(table)
        else:
            scenario.tampering.empty(table)

    @rule(which=st.lists(numbers, min_size=1, max_size=3))
    def delete_rows(self, which: list[int]) -> None:
        scenario = self.current
        scenario.touch("delete rows")
        scenario.tampering.delete_tickets(self._ids(which))

    @rule()
    def take_copies(self) -> None:
        self.current.tampering.take_copies()

    @rule(
        names=st.sampled_from(((TICKETS,), (TICKETS,), (TICKETS, RAW), RESTORED)),
        in_place=st.booleans(),
    )
    def restore(self, names: tuple[str, ...], in_place: bool) -> None:
        scenario = self.current
        scenario.touch("restore")
        scenario.interference.needs_full_load |= in_place
        scenario.tampering.restore(names, in_place=in_place)

    @rule(which=numbers, edit=st.sampled_from(EDITS))
    def edit_tickets(self, which: int, edit: str) -> None:
        scenario = self.current
        scenario.touch("edit tickets")
        scenario.interference.needs_force |= edit != EDITS[0]
        scenario.interference.needs_full_load |= edit == EDITS[0]
        scenario.tampering.edit_tickets(edit, self._ids([which]))

    @rule(edit=st.sampled_from(STATE_EDITS))
    def edit_the_state_row(self, edit: str) -> None:
        scenario = self.current
        scenario.touch("edit the state row")
        scenario.tampering.edit_state(edit)

    @rule(way=st.sampled_from(("drop", "empty")))
    def lose_the_state_row(self, way: str) -> None:
        scenario = self.current
        scenario.touch("lose the state row")
        if way == "drop":
            scenario.tampering.drop(STATE)
        else:
            scenario.tampering.empty(STATE)

    @rule(which=numbers, table=st.sampled_from((TICKETS, TICKETS, RAW)))
    def double_rows(self, which: int, table: str) -> None:
        scenario = self.current
        scenario.touch("double rows")
        scenario.tampering.double(table, self._ids([which]))

    # Accounts, rights and the trash.

    @rule(requested_mode=st.sampled_from((RequestedMode.AUTO, RequestedMode.FULL)))
    def sync_another_account(self, requested_mode: RequestedMode) -> None:
        self.current.sync_another_account(requested_mode)

    @rule(which=numbers, reconcile=st.booleans(), seconds=st.sampled_from((0, 1000)))
    def take_rights_for_a_while(self, which: int, reconcile: bool, seconds: int) -> None:
        """Hide a ticket from the token while runs work, then show it again."""
        scenario = self.current
        if len(scenario.live_ids()) < 2:
            return
        hidden = self._ids([which])
        scenario.hide(hidden)
        scenario.simulator.advance(1000)
        scenario.run(fails=True)
        if reconcile:
            scenario.reconcile(fails=True)
        scenario.simulator.advance(seconds)
        scenario.simulator.show_hidden()

    @rule(which=numbers, notice=st.booleans(), reconcile=st.booleans())
    def delete_and_restore(self, which: int, notice: bool, reconcile: bool) -> None:
        """Delete a ticket and take it out of the trash with its modified time of before."""
        scenario = self.current
        if len(scenario.live_ids()) < 2:
            return
        ids = self._ids([which])
        scenario.remove_for_a_while(ids)
        if notice:
            scenario.deliver([-1])
        scenario.simulator.advance(1000)
        scenario.run(fails=True)
        if reconcile:
            scenario.reconcile(fails=True)
        scenario.simulator.advance(1)
        scenario.simulator.restore(ids)

    # Runs of before.

    @rule(back=st.integers(0, 3))
    def reexecute_an_old_run(self, back: int) -> None:
        self.current.reexecute(back)

    @rule(which=numbers)
    def restore_and_reexecute(self, which: int) -> None:
        """Restore the dataset to the moment before a run, and execute its last steps again."""
        scenario = self.current
        scenario.tampering.take_copies()
        scenario.simulator.change(ids=self._ids([which]))
        scenario.simulator.advance(1000)
        if scenario.run(fails=True) is None:
            return
        scenario.touch("restore everything")
        scenario.tampering.restore(RESTORED, in_place=True)
        scenario.reexecute(0)

    @rule(which=numbers)
    def restore_before_a_run_closes(self, which: int) -> None:
        """Restore what a run has just written; it may not move the watermark then.

        An old run's steps would not show it: the job that has closed the run answers for them.
        """
        scenario = self.current
        scenario.tampering.take_copies()
        scenario.simulator.change(ids=self._ids([which]))
        scenario.simulator.advance(1000)

        def meanwhile(done: str) -> None:
            if done == WRITTEN:
                scenario.touch("restore beside a run")
                scenario.tampering.restore((TICKETS, RAW), in_place=True)

        scenario.run(fails=True, on_phase=meanwhile)

    @rule(which=numbers)
    def put_tickets_back(self, which: int) -> None:
        """Restore tickets alone, row by row, after a run that inserted none."""
        scenario = self.current
        scenario.tampering.take_copies()
        scenario.simulator.change(ids=self._ids([which]))
        scenario.simulator.advance(1000)
        report = scenario.run(fails=True)
        scenario.touch("restore tickets")
        is_full = report is None or report.manifest.mode is Mode.FULL
        scenario.interference.needs_full_load |= is_full
        scenario.tampering.restore((TICKETS,), in_place=True)
        scenario.simulator.advance(timedelta(hours=2).total_seconds())
        scenario.run(fails=True)
