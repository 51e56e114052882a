"""What a run would send, by a warehouse that sends nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.estimates import MIN_BYTES_BILLED, StatementEstimate
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket

UNJUDGED = replace(POLICY, enabled=False)
WRITING = ["raw_ticket_changes", "tickets", "sync_state"]
JUDGING = ["raw_ticket_changes", "missed_updates", "tickets", "sync_state"]


def steps(
    subject: Subject, batch: tuple[Manifest, Spool], policy: WebhookPolicy = POLICY
) -> list[str]:
    return [each.step for each in subject.warehouse.estimate(*batch, policy)]


def test_batch_is_estimated_step_by_step(subject: Subject) -> None:
    subject.run(ticket("1", 90), first_load=True)
    batch = subject.batch(ticket("1", 60))
    found = subject.warehouse.estimate(*batch, POLICY)
    assert [each.step for each in found] == JUDGING
    assert {(each.bytes_processed, each.is_lower_bound, each.unknown) for each in found} == {
        (0, False, "")
    }
    assert steps(subject, batch, UNJUDGED) == WRITING


def test_staged_batch_is_estimated_from_below(subject: Subject) -> None:
    subject.run(ticket("1", 90), first_load=True)
    batch = subject.batch(ticket("1", 60), is_staged=True, mode=Mode.FULL)
    found = subject.warehouse.estimate(*batch, POLICY)
    assert [each.step for each in found] == [*JUDGING, "sync_runs"]
    assert [each.is_lower_bound for each in found] == [True, True, True, True, False]
    assert not [each.unknown for each in found if each.unknown]
    assert subject.backend.stagings() == []


def test_batch_without_rows_only_closes(subject: Subject) -> None:
    subject.run(ticket("1"), first_load=True)
    assert steps(subject, subject.batch(), UNJUDGED) == ["sync_state"]


def test_stored_batch_is_estimated_by_one_statement(subject: Subject) -> None:
    subject.run(ticket("0"), policy=UNJUDGED)
    subject.run(ticket("1"), policy=UNJUDGED)
    assert steps(subject, subject.batch(ticket("1")), UNJUDGED) == ["sync_state"]
    assert steps(subject, subject.batch(ticket("1", 30)), UNJUDGED) == WRITING
    subject.hear(ticket("1"), delay=timedelta(seconds=1))
    assert steps(subject, subject.batch(ticket("1"))) == ["missed_updates", "sync_state"]


@pytest.mark.parametrize("table", ["tickets", "raw_ticket_changes", "sync_state"])
def test_statement_over_absent_table_is_told(subject: Subject, table: str) -> None:
    batch = subject.batch(ticket("1"))
    subject.backend.drop_table(table)
    with subject.backend.connected(subject.settings) as warehouse:
        found = {each.step: each for each in warehouse.estimate(*batch, UNJUDGED)}
    assert list(found) == WRITING
    assert found[table].bytes_processed is None
    assert found[table].unknown == f"the table {table} does not exist yet"
    assert found["sync_state"].unknown == f"the table {table} does not exist yet"


def test_estimating_changes_nothing_that_is_stored(subject: Subject) -> None:
    subject.run(ticket("1", 90), first_load=True)
    subject.hear(ticket("1", 60), delay=timedelta(seconds=1))
    names = ("tickets", "raw_ticket_changes", "missed_updates", "sync_state", "webhook_events")
    before = [subject.backend.rows(name) for name in names], subject.state()
    for is_staged in (False, True):
        subject.warehouse.estimate(*subject.batch(ticket("1", 60), is_staged=is_staged), POLICY)
    assert ([subject.backend.rows(name) for name in names], subject.state()) == before
    assert subject.backend.stagings() == []


def test_each_named_table_bills_a_minimum() -> None:
    known = StatementEstimate("tickets", 5, tables=3)
    assert known.bytes_billed == 3 * MIN_BYTES_BILLED
    assert StatementEstimate("tickets", 1 << 40, tables=3).bytes_billed == 1 << 40
    assert StatementEstimate("tickets", None, unknown="no table").bytes_billed == 0
