"""A repair takes no ticket for hidden that it could not see because its rights were lost."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import EndpointFailed, RightMissing, TicketForbidden
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets_tests.contract.subject import event
from helpdesk_assets_tests.operations.paper_desk import Desk, settings, version


def repair(desk: Desk, *ids: str) -> RepairReport:
    with desk.backend.connected(settings()) as warehouse:
        return repair_tickets(
            desk.helpdesk, warehouse, ids, run_id="repair", webhooks=settings().webhooks, chunk=2
        )


@pytest.fixture
def hiding_desk() -> Desk:
    desk = Desk()
    desk.appended(event(version("old")))
    desk.drain()
    desk.helpdesk.holds(version("shown"), version("later"))
    desk.helpdesk.tickets["hidden"] = TicketForbidden("403", "hidden")
    return desk


def test_hidden_ticket_is_reported_while_lists_answer(hiding_desk: Desk) -> None:
    report = repair(hiding_desk, "shown", "hidden", "later")
    assert (report.merged, report.unreadable) == (2, 1)


@pytest.mark.parametrize(
    "lost", [RightMissing("403"), EndpointFailed("down")], ids=lambda lost: type(lost).__name__
)
def test_lost_rights_end_a_repair(hiding_desk: Desk, lost: Exception) -> None:
    hiding_desk.helpdesk.lost = lost
    with pytest.raises(type(lost)):
        repair(hiding_desk, "shown", "hidden", "later")
    assert hiding_desk.row("later") is None
