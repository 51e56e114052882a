"""A run that reads only what is stored already closes without writing it, and only over all of it.

Somebody may have changed the tables since: whatever a MERGE of the batch would write is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.contract.subject import GRACE, POLICY, Subject, ticket

OURS = [ticket("1", 30), ticket("2", 20), ticket("3", 10, deleted_time=NOON)]
Meddle = Callable[[Subject], None]


def close(subject: Subject, *tickets: object, **changed: object) -> bool:
    """Close a run that reads these tickets, if it can be without writing them."""
    manifest, _ = subject.batch(*(tickets or OURS), **changed)  # type: ignore[arg-type]
    closed = subject.warehouse.close_if_stored(manifest, POLICY)
    if closed is None:
        return False
    assert closed.state == subject.state()
    assert closed.state.version == manifest.expected_version + 1
    assert closed.counts.unchanged + closed.counts.rejected == manifest.rows
    assert closed.counts.batch_tickets == manifest.rows
    return True


def test_repeated_batch_closes_without_being_written(subject: Subject) -> None:
    subject.run(*OURS, run_id="first")
    before = subject.backend.rows("tickets")
    assert close(subject)
    assert close(subject, OURS[1]), "the run before has not forgotten what it had stored"
    assert subject.backend.rows("tickets") == before
    assert {row["_run_id"] for row in subject.backend.rows("raw_ticket_changes")} == {"first"}


@pytest.mark.parametrize(
    "news",
    [
        ticket("4"),
        ticket("2", 20, body="y"),
        replace(ticket("2", 19), content_hash=ticket("2", 20).content_hash),
    ],
    ids=["another ticket", "another content", "another time"],
)
def test_batch_with_news_is_written(subject: Subject, news: object) -> None:
    subject.run(*OURS)
    assert not close(subject, news)
    assert not close(subject, OURS[0], news)


def test_batches_before_the_last_are_forgotten(subject: Subject) -> None:
    subject.run(*OURS)
    subject.run(ticket("9"))
    assert not close(subject)
    assert all(not run.read_counts.stored for run in subject.state().recent_runs)


def delete_ticket(subject: Subject) -> None:
    subject.backend.delete_tickets(["2"])


def delete_version(subject: Subject) -> None:
    subject.backend.delete_rows("raw_ticket_changes", ["2"])


def put_back(subject: Subject) -> None:
    subject.backend.alter_tickets(["2"], -timedelta(hours=1), "older")


def change_content(subject: Subject) -> None:
    """Another content of the same time, as a webhook writes it: the later reading wins."""
    subject.backend.alter_tickets(["2"], timedelta(0), "other")


def take_back_deletion(subject: Subject) -> None:
    subject.backend.empty_column("deletedTime", ["3"])


def empty_version(subject: Subject) -> None:
    subject.backend.empty_column("modifiedTime", ["2"])


@pytest.mark.parametrize(
    "meddle",
    [
        delete_ticket,
        delete_version,
        put_back,
        change_content,
        take_back_deletion,
        empty_version,
    ],
)
def test_changed_tables_do_not_close_a_run(subject: Subject, meddle: Meddle) -> None:
    subject.run(*OURS)
    meddle(subject)
    version = subject.state().version
    assert not close(subject)
    assert subject.state().version == version
    facts, state = subject.run(*OURS)
    assert (facts.absent, facts.tickets) == (0, 3)
    assert state is not None
    assert state.version == version + 1


def test_deletion_of_a_living_ticket_is_looked_at(subject: Subject) -> None:
    """A webhook has marked a ticket deleted, and the helpdesk lists it alive as before."""
    subject.run(*OURS)
    subject.write(tombstone("2", NOON, {"id": "2"}), run_id="webhook")
    assert subject.row("2")["deletedTime"] == NOON
    assert not close(subject)


def test_newer_row_does_not_hold_up_a_run(subject: Subject) -> None:
    """A webhook has brought a newer version since."""
    subject.run(*OURS)
    subject.backend.alter_tickets(["1"], timedelta(minutes=5), "newer")
    assert close(subject)


@pytest.mark.parametrize(
    "changed",
    [
        {"is_range": True},
        {"forced": True},
        {"tombstones": 1},
        {"mode": Mode.FULL},
        {"is_staged": True},
        {"expected_version": 7},
        {"digests": ()},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_runs_write_their_batch(subject: Subject, changed: dict[str, object]) -> None:
    subject.run(*OURS)
    assert not close(subject, **changed)


def test_ticket_listed_twice_is_written(subject: Subject) -> None:
    twice = [ticket("1", 30), ticket("1", 20)]
    subject.run(*twice)
    assert not close(subject, *twice)


def test_late_events_of_a_repeated_batch_are_recorded(subject: Subject) -> None:
    late = ticket("1", 30)
    subject.hear(ticket("0", 40), delay=timedelta(seconds=1))
    subject.run(late)
    assert subject.missed() == {"1": "missed"}
    subject.hear(late, delay=2 * GRACE)
    assert close(subject, late)
    assert subject.missed() == {"1": "late"}
