"""Rules by which two writers are at work at once, with statements that take seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from helpdesk_assets.extract.plan import RequestedMode

if TYPE_CHECKING:
    from helpdesk_assets_tests.chaos.scenario import Scenario

# Who writes beside a sync: first those that write the same tickets at the same time.
SURELY_OVERLAPPING = ("repair", "sync", "full sync")
OTHERS = (*SURELY_OVERLAPPING, "drain", "backfill", "reconciliation")


class OverlappingWriters(RuleBasedStateMachine):
    """The rules; `Chaos` has the rest of the machine.

    Which of two is first, chance decides, so a repeated scenario may differ. The invariants are
    the same for both orders.
    """

    if TYPE_CHECKING:

        @property
        def current(self) -> Scenario: ...

    @rule(other=st.sampled_from(OTHERS), created=st.integers(0, 2))
    def write_new_tickets_at_once(self, other: str, created: int) -> None:
        """Write tickets that no table has yet, twice at the same time."""
        scenario = self.current
        made = scenario.simulator.create(created) if created else []
        scenario.record_changed(made, "created")
        ids = [ticket.ticket_id for ticket in made] or scenario.live_ids()[:1]
        scenario.simulator.advance(60)
        match other:
            case "sync":
                scenario.write_at_once(lambda: scenario.run(fails=True))
            case "full sync":
                scenario.write_at_once(lambda: scenario.run(RequestedMode.FULL, fails=True))
            case "repair":
                scenario.write_at_once(lambda: scenario.repair(ids))
            case "drain":
                scenario.deliver(range(len(scenario.pending)))
                scenario.write_at_once(lambda: scenario.drain(fails=True))
            case "backfill":
                scenario.write_at_once(lambda: scenario.backfill(timedelta(seconds=5000)))
            case "reconciliation":
                scenario.simulator.advance(1000)
                scenario.write_at_once(lambda: scenario.reconcile(fails=True))
