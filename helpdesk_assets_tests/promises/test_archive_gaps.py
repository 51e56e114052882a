"""What an archive does not answer is told and asked for again; what is in it is found."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.local.simulator.middleware import ApiError
from helpdesk_assets.operations import archive
from helpdesk_assets.operations.archive import ArchiveReport
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import DAY, NUMBERS, MakeDesk

AHEAD = 6


@pytest.fixture(autouse=True)
def _few_ids_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "AHEAD", AHEAD, raising=False)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Ids that the archive refuses by a 403 of their own."""
    ids: set[str] = set()
    check = FreshdeskDialect._check_request

    def refuse(dialect: FreshdeskDialect, request: Any, known: Collection[str]) -> None:
        if "/archived/" in request.url.path and request.path_params["ticket_id"] in ids:
            raise ApiError(403, "You are not authorized to perform this action.")
        check(dialect, request, tuple(known))

    monkeypatch.setattr(FreshdeskDialect, "_check_request", refuse)
    return ids


def look(desk: Harness) -> ArchiveReport:
    """Reconcile, and return what became of the archive."""
    desk.simulator.advance(7 * DAY)
    found = desk.reconcile().archive
    assert found is not None
    return found


def missing(desk: Harness) -> set[str]:
    return {*NUMBERS} - desk.tickets().keys()


@pytest.mark.parametrize("block", [4, 1000])
@pytest.mark.parametrize("ids", [{"1"}, {"5"}, {"1", "2", "9"}, {*NUMBERS[3:10]}], ids=len)
def test_refused_archived_tickets_are_asked_for_again(
    make_desk: MakeDesk,
    refused: set[str],
    monkeypatch: pytest.MonkeyPatch,
    ids: set[str],
    block: int,
) -> None:
    """Also more of them than can be noted, and the very first; the others are read meanwhile."""
    monkeypatch.setattr(archive, "BLOCK", block)
    desk = make_desk(freshdesk_archive=True)
    desk.simulator.archive(ids=NUMBERS[:10])
    desk.sync()
    refused |= ids
    for _ in range(2):
        report = desk.reconcile()
        assert (report.unreadable, report.is_wrong) == (len(ids), True)
        assert not inventory_matches(report).passed
        assert missing(desk) == ids
    refused.clear()
    assert look(desk).repaired.merged == len(ids)
    assert missing(desk) == set()
    desk.simulator.reset_counters()
    assert look(desk).repaired.asked == AHEAD


def test_archive_that_refuses_every_probe_is_not_asked(
    make_desk: MakeDesk, refused: set[str]
) -> None:
    desk = make_desk(freshdesk_archive=True)
    desk.simulator.archive(ids=NUMBERS[:10])
    desk.sync()
    refused |= {*NUMBERS}
    report = look(desk)
    assert "is not granted" in str(report.stopped)
    assert report.asked_up_to is None
    refused.clear()
    assert look(desk).repaired.merged == 10


@pytest.mark.parametrize("deleted", [[], ["1"], ["1", "2", "3"]], ids=len)
def test_plan_without_archive_notes_no_id(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, deleted: list[str]
) -> None:
    """Whether or not the first tickets are known to be deleted."""
    desk = make_desk(freshdesk_archive=True)
    desk.simulator.archive(ids=NUMBERS[3:10])
    desk.sync()
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", False)
    desk.simulator.delete(ids=deleted)
    desk.simulator.advance(DAY)
    desk.sync()
    assert "its plan lets nobody ask" in str(look(desk).stopped)
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", True)
    look(desk)
    assert missing(desk) == set()


def test_plan_that_loses_its_archive_meanwhile_is_told(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(freshdesk_archive=True, helpdesk_concurrency=1)
    desk.simulator.archive(ids=NUMBERS[:10])
    desk.sync()
    asked: list[str] = []
    check = FreshdeskDialect._check_request

    def lose(dialect: FreshdeskDialect, request: Any, known: Any) -> None:
        asked.append(request.url.path)
        # One probe and two of the block are answered.
        dialect.plan_has_archive = sum("/archived/" in path for path in asked) <= 3
        check(dialect, request, known)

    with monkeypatch.context() as patched:
        patched.setattr(FreshdeskDialect, "_check_request", lose)
        report = desk.reconcile()
    assert report.archive is not None
    assert (report.archive.repaired.merged, report.archive.repaired.unproven) == (2, 8 + AHEAD)
    assert report.is_wrong
    check_result = inventory_matches(report)
    assert not check_result.passed
    assert "may be archived and could not be asked for" in check_result.description


@pytest.mark.parametrize("archived", [NUMBERS[30:], NUMBERS, NUMBERS[:35], NUMBERS[20:]], ids=len)
@pytest.mark.parametrize("block", [7, 1000])
def test_archived_tickets_above_every_listed_one_are_found(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, archived: list[str], block: int
) -> None:
    monkeypatch.setattr(archive, "BLOCK", block)
    desk = make_desk(freshdesk_archive=True)
    desk.simulator.archive(ids=archived)
    desk.sync()
    report = look(desk)
    assert missing(desk) == set()
    assert (report.newest, report.not_listed) == (40, len(archived))
    assert report.asked_up_to == 40
    assert look(desk).repaired.asked == AHEAD


@pytest.mark.parametrize("kind", ["row", "trash"])
def test_gap_below_a_known_id_does_not_end_the_search(make_desk: MakeDesk, kind: str) -> None:
    """Ids up to the highest of the table and of the deleted ones are asked for, gaps and all."""
    desk = make_desk(freshdesk_archive=True)
    desk.simulator.archive(ids=NUMBERS[37:39])
    if kind == "trash":
        desk.simulator.delete(ids=["40"])
    desk.sync()
    desk.simulator.hide(ids=NUMBERS[20:37])
    if kind == "row":
        desk.simulator.archive(ids=["40"])
    desk.delete_rows([*NUMBERS[20:37], *(["40"] if kind == "trash" else [])])
    look(desk)
    assert {"38", "39"} <= desk.tickets().keys()
