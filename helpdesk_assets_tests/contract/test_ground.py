"""A run closes only over its whole batch, and counts what others took away, in each warehouse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket

RAW, TICKETS = "raw_ticket_changes", "tickets"
SOON = timedelta(minutes=2)


@pytest.fixture(params=[False, True], ids=["small", "staged"])
def is_staged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def _at(hours: float) -> dict[str, object]:
    """Return what the manifest of a run that many hours later says about its time."""
    return {"served_at": NOON + timedelta(hours=hours)}


def _lose_a_version(subject: Subject, manifest: Manifest) -> None:
    subject.backend.delete_rows(manifest.staging or RAW, ["2"])


def _lose_the_batch(subject: Subject, manifest: Manifest) -> None:
    subject.backend.delete_rows(manifest.staging or RAW, None)


def _lose_the_staging_table(subject: Subject, manifest: Manifest) -> None:
    if manifest.staging is None:
        _lose_the_batch(subject, manifest)
    else:
        subject.backend.drop_staging(manifest.staging)


def _lose_a_ticket(subject: Subject, manifest: Manifest) -> None:
    subject.backend.delete_tickets(["2"])


def _lose_all_tickets(subject: Subject, manifest: Manifest) -> None:
    subject.backend.delete_tickets(None)


def _put_a_ticket_back(subject: Subject, manifest: Manifest) -> None:
    subject.backend.alter_tickets(["2"], -timedelta(hours=1), "yesterday")


@pytest.mark.parametrize(
    "lose",
    [
        _lose_a_version,
        _lose_the_batch,
        _lose_the_staging_table,
        _lose_a_ticket,
        _lose_all_tickets,
        _put_a_ticket_back,
    ],
)
def test_batch_that_is_not_whole_moves_nothing(
    subject: Subject,
    lose: Callable[[Subject, Manifest], None],
    is_staged: bool,
) -> None:
    subject.run(ticket("0"))
    before = subject.state()
    batch = (ticket("1"), ticket("2"), ticket("2", 50), ticket("3"))
    manifest = subject.write(*batch, is_staged=is_staged)
    lose(subject, manifest)
    with pytest.raises(BatchGone, match="nothing is lost"):
        subject.warehouse.commit_run(manifest, POLICY)
    assert subject.state() == before
    facts, _ = subject.run(*batch, is_staged=is_staged)
    assert (facts.batch_tickets, facts.absent, facts.tickets) == (3, 0, 3)


def test_range_that_is_not_whole_fails_too(subject: Subject, is_staged: bool) -> None:
    manifest = subject.write(ticket("1"), ticket("2"), is_staged=is_staged, is_range=True)
    subject.backend.delete_tickets(["2"])
    with pytest.raises(BatchGone, match="nothing is lost"):
        subject.warehouse.commit_run(manifest, POLICY)


def test_tombstone_needs_only_a_row(subject: Subject, is_staged: bool) -> None:
    subject.run(ticket("1"))
    gone = [tombstone(name, NOON - SOON, {"id": name}) for name in ("1", "2")]
    facts, _ = subject.run(*gone, is_staged=is_staged)
    assert (facts.batch_tickets, facts.absent) == (2, 0)
    manifest = subject.write(*gone, is_staged=is_staged)
    subject.backend.delete_tickets(["2"])
    with pytest.raises(BatchGone):
        subject.warehouse.commit_run(manifest, POLICY)


def test_version_of_two_times_counts_once(subject: Subject) -> None:
    subject.run(ticket("1", 60), ticket("1", 50), ticket("2"))
    manifest = subject.write(ticket("1", 60), ticket("2"))
    subject.backend.delete_rows(RAW, ["2"])
    with pytest.raises(BatchGone):
        subject.warehouse.commit_run(manifest, POLICY)


def test_repaired_batch_is_counted_only_if_whole(subject: Subject) -> None:
    manifest = subject.write(ticket("1"), ticket("2"), is_range=True)
    subject.backend.delete_tickets(["2"])
    with pytest.raises(BatchGone):
        subject.warehouse.count_batch(manifest)


def test_lost_rows_are_counted_once(subject: Subject) -> None:
    subject.run(ticket("1"), ticket("2"), ticket("3"), **_at(0))
    subject.backend.delete_tickets(["1", "2"])
    assert subject.run(ticket("4"), **_at(1))[0].rows_lost == 1
    assert subject.run(ticket("4"), **_at(2))[0].rows_lost == 0


def test_rows_put_back_in_place_are_behind(subject: Subject) -> None:
    subject.run(ticket("0"), mode=Mode.FULL, served_at=NOON - timedelta(hours=1))
    subject.run(ticket("1"), ticket("2"), ticket("3"))
    assert subject.run(**_at(1))[0].behind == 0
    subject.backend.alter_tickets(["1", "2"], -timedelta(hours=1), "yesterday")
    facts, _ = subject.run(**_at(2))
    assert (facts.behind, facts.rows_lost) == (2, 0)
    facts, _ = subject.run(ticket("1"), ticket("2"), ticket("3"), mode=Mode.FULL, **_at(3))
    assert facts.behind == 0
    assert subject.run(**_at(4))[0].behind == 0


def test_rows_of_the_first_load_are_ground(subject: Subject) -> None:
    """Also those of its first answer, at whose time the load began."""
    subject.run(ticket("1"), ticket("2"), mode=Mode.FULL, first_load=True)
    subject.backend.alter_tickets(["1"], -timedelta(hours=1), "yesterday")
    assert subject.run(**_at(1))[0].behind == 1


def test_rows_erased_before_a_full_load_are_not_behind(subject: Subject) -> None:
    subject.run(ticket("1"), ticket("2"))
    subject.backend.delete_tickets(["2"])
    began = NOON + timedelta(minutes=30)
    facts, state = subject.run(ticket("1"), mode=Mode.FULL, read_at=began, **_at(1))
    assert (facts.rows_lost, facts.behind) == (1, 0)
    assert state is not None
    assert state.full_load_at == began
    facts, state = subject.run(**_at(2))
    assert (facts.rows_lost, facts.behind) == (0, 0)
    assert state is not None
    assert state.full_load_at == began


def test_rows_of_a_full_load_put_back_are_behind(subject: Subject) -> None:
    subject.run(ticket("1"), ticket("2"))
    read = {"read_at": NOON + timedelta(hours=1), "read_since": NOON + timedelta(minutes=30)}
    subject.run(ticket("1", 30), ticket("2"), mode=Mode.FULL, **read, **_at(2))
    subject.backend.alter_tickets(["1"], -timedelta(hours=1), "yesterday")
    assert subject.run(**_at(3))[0].behind == 1


def test_listing_that_may_not_advance_is_no_full_load(subject: Subject) -> None:
    _, state = subject.run(ticket("1"), mode=Mode.FULL, advances_watermark=False)
    assert state is not None
    assert state.full_load_at is None


def test_versions_of_a_dead_run_are_not_behind(subject: Subject) -> None:
    subject.run(ticket("0"))
    manifest, spool = subject.batch(ticket("1"), is_range=True)
    subject.warehouse.merge_changes(manifest, spool)
    assert subject.run(**_at(1))[0].behind == 0
