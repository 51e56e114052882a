"""Rules about webhooks that a receiver has appended and that wait for a drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from helpdesk_assets.extract.plan import RequestedMode

if TYPE_CHECKING:
    from helpdesk_assets_tests.chaos.scenario import Scenario

# A drain asks for what waits and for what that brings, and merges it.
JOBS = 3


class WaitingWebhooks(RuleBasedStateMachine):
    """The rules; `Chaos` has the rest of the machine."""

    if TYPE_CHECKING:

        @property
        def current(self) -> Scenario: ...

    @rule(everything=st.booleans())
    def drain(self, everything: bool) -> None:
        self.current.drain(everything=everything)

    @rule(created=st.integers(0, 2), job=st.integers(1, JOBS))
    def kill_a_drain_after_a_job(self, created: int, job: int) -> None:
        """Kill it, perhaps between its MERGE and the outcomes, and drain again."""
        scenario = self.current
        if created:
            scenario.record_changed(scenario.simulator.create(created), "created")
        if scenario.pending:
            scenario.deliver(range(len(scenario.pending)))
        scenario.run_and_kill(
            RequestedMode.AUTO, call=job, moment="after", jobs=True, is_drain=True
        )
        scenario.check()
        scenario.drain()

    @rule(created=st.integers(0, 2))
    def receive_twice_beside_a_run(self, created: int) -> None:
        """Two receivers append the same webhooks while a run works, and the next one drains."""
        scenario = self.current
        if created:
            scenario.record_changed(scenario.simulator.create(created), "created")
        scenario.simulator.advance(60)
        scenario.receive_at_once()
        scenario.check()
        scenario.drain()
