"""What a run asks before it reads the helpdesk, in each warehouse."""

from __future__ import annotations

from helpdesk_assets.operations.readiness import Consequence, expect_ready, findings
from helpdesk_assets_tests.contract.subject import Subject, ticket


def test_new_dataset_is_fine(subject: Subject) -> None:
    report = subject.warehouse.write_access().report()
    assert {each.consequence for each in findings(report)} == {Consequence.FINE}


def test_asking_leaves_the_dataset_as_it_is(subject: Subject) -> None:
    subject.run(ticket("1"))
    state, before = subject.state(), subject.warehouse.write_access().report()
    expect_ready(subject.warehouse, None, run_id="trial")
    assert (subject.state(), subject.warehouse.write_access().report()) == (state, before)


def test_dataset_with_a_state_row_costs_no_job(subject: Subject) -> None:
    subject.run(ticket("1"))
    used = subject.warehouse.use
    expect_ready(subject.warehouse, subject.state(), run_id="quiet")
    assert subject.warehouse.use == used
