"""A repair by a login that does not see every ticket marks no row as deleted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets_tests.backends import InMemoryBackend
from helpdesk_assets_tests.operations.paper_desk import PaperDesk, settings, version

BLIND = "the agent sees its groups only"


@dataclass
class ShortSightedDesk(PaperDesk):
    """Says why it may not show every ticket; each question is counted."""

    reason: str | None = None
    questions: int = 0

    def blind_spot(self) -> str | None:
        self.questions += 1
        return self.reason


def repair(
    desk: ShortSightedDesk, backend: InMemoryBackend, *ids: str, mark_deleted: bool = True
) -> RepairReport:
    with backend.connected(settings()) as warehouse:
        return repair_tickets(
            desk,
            warehouse,
            ids,
            run_id="r",
            webhooks=settings().webhooks,
            mark_deleted=mark_deleted,
        )


def stored(backend: InMemoryBackend) -> dict[str, bool]:
    return {row["ticket_id"]: row["deletedTime"] is None for row in backend.rows("tickets")}


@pytest.mark.parametrize("reason", [BLIND, None])
def test_only_a_login_that_sees_all_marks(reason: str | None) -> None:
    desk, backend = ShortSightedDesk(reason=reason), InMemoryBackend()
    desk.holds(version("1"), version("2"), version("3"))
    repair(desk, backend, "1", "2", "3")
    desk.tickets = {"1": version("1", 5)}
    report = repair(desk, backend, "1", "2", "3", "never had")
    assert stored(backend) == {"1": True, "2": reason is not None, "3": reason is not None}
    if reason:
        assert (report.deleted, report.not_found, report.unproven) == (0, 0, 3)
        assert "no ticket 2. It may exist: the agent sees" in report.unproven_named[0]
    else:
        assert (report.deleted, report.not_found, report.unproven) == (2, 1, 0)


def test_scope_is_asked_for_only_before_a_mark() -> None:
    desk, backend = ShortSightedDesk(reason=BLIND), InMemoryBackend()
    desk.holds(version("1"))
    repair(desk, backend, "1")
    report = repair(desk, backend, "2", mark_deleted=False)
    assert (desk.questions, report.not_found) == (0, 1)
