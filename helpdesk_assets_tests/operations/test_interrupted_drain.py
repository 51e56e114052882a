"""A drain that dies anywhere, and tickets that BigQuery refuses: nothing is lost, none blocks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from helpdesk_assets.errors import DataRefused, WarehouseUnavailable
from helpdesk_assets.model.webhook_events import EventOutcome, ReadTicket
from helpdesk_assets.operations import drain as drain_module
from helpdesk_assets.warehouse.table_spec import MergeReport
from helpdesk_assets_tests.contract.subject import event
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.warehouse import InMemoryWarehouse
from helpdesk_assets_tests.operations.paper_desk import Desk, deletion, hint, version

DIED = WarehouseUnavailable("died")


class Fragile(InMemoryWarehouse):
    """Fails at its n-th write, and refuses tickets of these ids."""

    def __init__(
        self, dataset: InMemoryDataset, *, dies_at: int = 0, refused: Sequence[str] = ()
    ) -> None:
        super().__init__(dataset)
        self.dies_at = dies_at
        self.refused = refused
        self.writes = 0
        self.merged: list[int] = []

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        self._count()
        found = [each for each in read if each.ticket.ticket_id in self.refused]
        if found:
            raise DataRefused(f"Ticket {found[0].ticket.ticket_id} has a bad number.")
        self.merged.append(len(read))
        return super().merge_webhooks(read, run_id=run_id)

    def record_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        self._count()
        super().record_outcomes(outcomes)

    def _count(self) -> None:
        self.writes += 1
        if self.writes == self.dies_at:
            raise DIED


@pytest.fixture
def desk() -> Desk:
    return Desk()


def fragile(desk: Desk, **changed: object) -> Fragile:
    return Fragile(desk.backend.dataset, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("dies_at", range(1, 7))
def test_drain_that_died_anywhere_is_made_up_for(desk: Desk, dies_at: int) -> None:
    """Three chunks, each merged and recorded; the next drain leaves what one drain would."""
    calm = Desk()
    for each in (desk, calm):
        each.helpdesk.holds(version("hint", 20, status="fetched"))
        each.appended(
            event(version("1", 50), event_id="e1"),
            event(version("1", 40, status="newer"), event_id="e2"),
            hint(version("hint", 30), event_id="e3"),
            deletion(version("1", 25), event_id="e4"),
            deletion(version("unknown", 24), event_id="e5"),
        )
    with pytest.raises(WarehouseUnavailable):
        desk.drain(warehouse=fragile(desk, dies_at=dies_at), chunk_events=1)
    report = desk.drain()
    assert report.left == 0
    assert calm.drain().merged == 4
    assert desk.outcomes() == calm.outcomes()
    content = ("subject", "status", "modifiedTime", "deletedTime", "_read_at")
    for ticket_id in ("1", "hint"):
        ours, theirs = desk.row(ticket_id), calm.row(ticket_id)
        assert ours is not None
        assert theirs is not None
        assert [ours[name] for name in content] == [theirs[name] for name in content]
    assert desk.row("unknown") is None


def test_refused_ticket_does_not_stop_the_others(desk: Desk) -> None:
    names = [str(number) for number in range(20)]
    desk.appended(*(event(version(name), event_id=name) for name in names))
    desk.appended(event(version("7", 10), event_id="again"))
    report = desk.drain(warehouse=fragile(desk, refused=["7", "13"]))
    assert (report.merged, report.not_stored, report.left) == (18, 3, 0)
    assert "Ticket 7: Ticket 7 has a bad number." in report.problems
    refused = {name for name, outcome in desk.outcomes().items() if outcome == "not_stored"}
    assert refused == {"7", "13", "again"}
    assert {row["ticket_id"] for row in desk.backend.rows("tickets")} == {*names} - {"7", "13"}
    assert desk.drain().waiting == 0


def test_refused_chunk_costs_a_bounded_number_of_statements(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not tried alone waits; part of it is done by each drain."""
    monkeypatch.setattr(drain_module, "MAX_SPLITS", 6)
    names = [str(number) for number in range(32)]
    desk.appended(*(event(version(name)) for name in names))
    warehouse = fragile(desk, refused=names)
    report = desk.drain(warehouse=warehouse)
    assert warehouse.writes <= 2 * 6 + 2
    assert report.left
    assert isinstance(report.error, DataRefused)
    left = report.left
    report = desk.drain(warehouse=fragile(desk, refused=names))
    assert 0 < report.left < left


def test_failure_that_no_ticket_causes_is_not_split(desk: Desk) -> None:
    desk.appended(*(event(version(str(number))) for number in range(9)))
    warehouse = fragile(desk, dies_at=1)
    with pytest.raises(WarehouseUnavailable):
        desk.drain(warehouse=warehouse)
    assert warehouse.writes == 1
    assert desk.drain().merged == 9


def test_chunk_is_one_statement_however_many_events(desk: Desk) -> None:
    desk.appended(*(event(version(str(number % 30), 90 - number)) for number in range(60)))
    warehouse = fragile(desk)
    assert desk.drain(warehouse=warehouse).merged == 60
    assert warehouse.merged == [30]
