"""What the check on repeated rows says, and how bad it is."""

from __future__ import annotations

from dataclasses import replace

from helpdesk_assets.checks.evidence import CheckResult, Severity
from helpdesk_assets.model.state import RepeatedRows, RunCounts
from helpdesk_assets_tests.checks.test_tables import FACTS, GOOD, one, with_facts

HEALED = RepeatedRows("tickets", 2, 2, ("sync run a", "webhook run b"))


def judged(facts: RunCounts) -> CheckResult:
    return one("one_row_per_ticket", with_facts(facts))


def test_removed_rows_warn_with_number_and_writers() -> None:
    result = judged(replace(FACTS, repeated_keys=2, repeated=(HEALED,)))
    assert (result.passed, result.severity) == (False, Severity.WARN)
    assert result.description.startswith(
        "2 rows of tickets were beyond the first of the key. The run removed what was too much and "
        "kept the newest version of each ticket. Last written by: sync run a, webhook run b. "
        "BigQuery enforces no keys"
    )
    assert result.facts == {
        "repeated_keys": 2,
        "repeated_versions": 0,
        "repeated_misses": 0,
        "repeated_rows_removed": 2,
        "table_rows": 40,
    }


def test_rows_that_stay_are_an_error() -> None:
    left = replace(HEALED, removed=0, problem="Streaming buffer.")
    result = judged(replace(FACTS, repeated_keys=2, repeated=(left,)))
    assert (result.passed, result.severity) == (False, Severity.ERROR)
    assert (
        "could not remove 2 of them, and a later run tries again: Streaming" in result.description
    )


def test_one_unhealed_table_among_others_is_an_error() -> None:
    facts = replace(FACTS, repeated_keys=2, repeated_misses=1, repeated=(HEALED,))
    result = judged(facts)
    assert (result.passed, result.severity) == (False, Severity.ERROR)
    assert "1 row of missed_updates was beyond the first" in result.description


def test_counts_of_an_earlier_run_claim_no_removal() -> None:
    state = GOOD.state
    assert state is not None
    facts = replace(FACTS, repeated_keys=1)
    evidence = replace(GOOD, facts=None, state=replace(state, facts=facts))
    result = one("one_row_per_ticket", evidence)
    assert (result.passed, result.severity) == (False, Severity.ERROR)
    assert "The next run counts again and removes what is left." in result.description


def test_ticket_with_two_rows_was_read_whole() -> None:
    facts = replace(FACTS, updated=2, repeated_keys=1)
    assert one("read_whole", with_facts(facts)).passed
    assert not one("read_whole", with_facts(replace(facts, repeated_keys=0))).passed
