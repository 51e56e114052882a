"""The check on rows beyond the first of their key. Pure: no Dagster and no client."""

from __future__ import annotations

from helpdesk_assets.checks.evidence import CheckResult, Evidence, Severity
from helpdesk_assets.model.state import RepeatedRows, RunCounts

# By field of `RunCounts`: the table, and which row of a key stays.
_TABLES = {
    "repeated_keys": ("tickets", "the newest version of each ticket"),
    "repeated_versions": ("raw_ticket_changes", "the first of each version"),
    "repeated_misses": ("missed_updates", "the first of each change"),
}
_CAUSE = (
    "BigQuery enforces no keys and lets two MERGEs insert the same key at the same moment: a "
    "receiver, repair, reconciliation or backfill beside the sync, or two of them. Another program "
    "or a person may have inserted rows as well."
)


def one_row_per_ticket(evidence: Evidence) -> CheckResult:
    """Whether no ticket, version or missed update has two rows.

    A warning if the run has removed the rows that it counted, else an error.
    """
    counts = evidence.latest or RunCounts()
    found = {name: int(getattr(counts, name)) for name in _TABLES}
    outcomes = {each.table: each for each in counts.repeated}
    tables = [(*_TABLES[name], number) for name, number in found.items() if number]
    parts = [_told(number, table, kept, outcomes.get(table)) for table, kept, number in tables]
    is_healed = all(table in outcomes and not outcomes[table].problem for table, _, _ in tables)
    return CheckResult(
        "one_row_per_ticket",
        passed=not tables,
        severity=Severity.WARN if tables and is_healed else Severity.ERROR,
        description=" ".join([*parts, _CAUSE]) if tables else "Every ticket has one row.",
        facts={
            **found,
            "repeated_rows_removed": sum(each.removed for each in counts.repeated),
            "table_rows": counts.rows,
        },
    )


def _told(number: int, table: str, kept: str, outcome: RepeatedRows | None) -> str:
    rows = f"{number} row{'s' if number > 1 else ''} of {table}"
    text = f"{rows} {'were' if number > 1 else 'was'} beyond the first of the key."
    if outcome is None:
        return f"{text} The next run counts again and removes what is left."
    if outcome.problem:
        return (
            f"{text} The run could not remove {number - outcome.removed} of them, and a later run "
            f"tries again: {outcome.problem}"
        )
    writers = f" Last written by: {', '.join(outcome.writers)}." if outcome.writers else ""
    return f"{text} The run removed what was too much and kept {kept}.{writers}"
