"""Ask whether the dataset takes what a run will write, before the helpdesk is read.

BigQuery says much of it only when the first statement changes data, which is after the last page.
What metadata can tell is judged here from a report; the rest is tried once in a dataset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.formatting import format_time
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets.warehouse.write_access import DatasetReport, TableTraits

log = logging.getLogger(__name__)


class Consequence(StrEnum):
    """What a finding means for a run: nothing, a line of `doctor`, a warning, or its end."""

    FINE = "fine"
    NOTE = "note"
    WARNING = "warning"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ReadinessFinding:
    """What one question found. `text` says what is so, and what to do if it is not fine."""

    what: str
    consequence: Consequence
    text: str


def expect_ready(warehouse: Warehouse, state: SyncState | None, *, run_id: str) -> None:
    """Fail if the dataset would not take or keep what the run will write.

    Costs no query job once there is a state row: a statement that changes data made it.

    Args:
        warehouse: where to.
        state: the state row.
        run_id: the run.

    Raises:
        WarehouseRefused: says what is wrong, and what to do.
        HelpdeskAssetsError: the statement that tried it was refused.
    """
    access = warehouse.write_access()
    expect_fit(access.report())
    access.keep_rows()
    if state is None:
        access.try_writing(run_id=run_id)


def expect_fit(report: DatasetReport) -> None:
    """Fail if metadata says that the dataset would not take or keep rows; warn of what may pass.

    Raises:
        WarehouseRefused: says what is wrong, and what to do.
    """
    found = findings(report)
    refused = [each.text for each in found if each.consequence is Consequence.REFUSED]
    if refused:
        raise WarehouseRefused(f"{' '.join(refused)} Nothing was read or written.")
    for finding in found:
        if finding.consequence is Consequence.WARNING:
            log.warning("%s", finding.text)


def findings(report: DatasetReport) -> tuple[ReadinessFinding, ...]:
    """Return the answer to each question that metadata can answer, in a fixed order."""
    return (
        _location(report),
        _default_lifetimes(report),
        _lifetimes(report),
        _collation(report),
        _kinds(report),
        _filters(report),
        _streams(report),
        _change_data_capture(report),
    )


def _location(report: DatasetReport) -> ReadinessFinding:
    what, wanted = "location", report.wanted_location
    if report.dataset is None:
        return ReadinessFinding(
            what, Consequence.FINE, f"{report.name} does not exist yet; a sync creates it"
        )
    held = report.dataset.location
    if wanted and held and wanted.casefold() != held.casefold():
        return ReadinessFinding(
            what,
            Consequence.REFUSED,
            f"Dataset {report.name} is in {held}, and BIGQUERY_LOCATION is {wanted}: no job that "
            f"runs in {wanted} finds it. Set BIGQUERY_LOCATION to {held} or leave it empty, or "
            "set BIGQUERY_DATASET to another dataset.",
        )
    asked = f"BIGQUERY_LOCATION is {wanted}" if wanted else "BIGQUERY_LOCATION is not set"
    return ReadinessFinding(what, Consequence.FINE, f"{held or 'not reported'}; {asked}")


def _default_lifetimes(report: DatasetReport) -> ReadinessFinding:
    what, traits = "default expirations", report.dataset
    parts = []
    if traits and traits.table_lifetime:
        parts.append(f"tables after {_days(traits.table_lifetime)}")
    if traits and traits.partition_lifetime:
        parts.append(f"partitions after {_days(traits.partition_lifetime)}")
    if not parts:
        return ReadinessFinding(what, Consequence.FINE, "none")
    return ReadinessFinding(
        what,
        Consequence.NOTE,
        f"The dataset drops new {' and '.join(parts)}. Tables of a sync are made to stay, and "
        "tables that others make there are not. Take the defaults away, or set BIGQUERY_DATASET "
        "to a dataset without them.",
    )


def _lifetimes(report: DatasetReport) -> ReadinessFinding:
    what = "expirations of tables"
    doomed = [
        *(f"{each.name} on {format_time(each.expires)}" for each in report.tables if each.expires),
        *(
            f"partitions of {each.name} after {_days(each.partition_lifetime)}"
            for each in report.tables
            if each.partition_lifetime and each.must_keep_partitions
        ),
    ]
    if doomed:
        return ReadinessFinding(
            what,
            Consequence.NOTE,
            f"BigQuery is to drop {', '.join(doomed)}; the next run takes that away. Find out who "
            "sets it.",
        )
    chosen = [
        f"partitions of {each.name} after {_days(each.partition_lifetime)}"
        for each in report.tables
        if each.partition_lifetime
    ]
    return ReadinessFinding(what, Consequence.FINE, ", ".join(chosen) or "none")


def _collation(report: DatasetReport) -> ReadinessFinding:
    columns = [f"{each.name}.{name}" for each in report.tables for name in each.ignoring_case]
    if report.dataset and report.dataset.collation:
        return ReadinessFinding(
            "collation",
            Consequence.REFUSED,
            f"Dataset {report.name} has the default collation {report.dataset.collation}, so ids "
            "that differ only in upper and lower case would be one ticket. Run `ALTER SCHEMA ... "
            "SET DEFAULT COLLATE ''` for it, or set BIGQUERY_DATASET to another dataset.",
        )
    return _refuse_any(
        "collation",
        columns,
        "Upper and lower case count as the same in {}, so ids that differ only in that would be "
        "one ticket. Replace the table by a copy in which `COLLATE(column, '')` is selected, or "
        "set BIGQUERY_DATASET to another dataset.",
        fine="upper and lower case are distinguished",
    )


def _kinds(report: DatasetReport) -> ReadinessFinding:
    return _refuse_any(
        "kinds of tables",
        [f"{each.name} (a {each.kind})" for each in report.tables if each.kind != "TABLE"],
        "Only a table takes rows: rename {}, or set BIGQUERY_DATASET to a dataset without it.",
        fine="tables that take rows",
    )


def _filters(report: DatasetReport) -> ReadinessFinding:
    return _refuse_any(
        "partition filters",
        _names(report.tables, lambda each: each.needs_filter),
        "Every statement on {} must filter by partition, and a sync looks for ids in all of them. "
        "Run `ALTER TABLE ... SET OPTIONS (require_partition_filter = FALSE)` for it.",
        fine="none is required",
    )


def _streams(report: DatasetReport) -> ReadinessFinding:
    names = _names(report.tables, lambda each: each.is_streamed_into)
    if not names:
        return ReadinessFinding("streaming buffers", Consequence.FINE, "empty")
    return ReadinessFinding(
        "streaming buffers",
        Consequence.WARNING,
        f"Somebody streams rows into {', '.join(names)} by insertAll (`insert_rows`). For up to 90 "
        "minutes BigQuery refuses every MERGE that would touch such a row; what was refused "
        "succeeds later. Let the other program write by statements or by the Storage Write API.",
    )


def _change_data_capture(report: DatasetReport) -> ReadinessFinding:
    return _refuse_any(
        "change data capture",
        _names(report.tables, lambda each: each.applies_changes),
        "{} has a primary key and max_staleness, as a table has that change data capture writes, "
        "and such a table takes no MERGE. Set BIGQUERY_DATASET to a dataset of its own for the "
        "sync, or end the stream and run `ALTER TABLE ... SET OPTIONS (max_staleness = NULL)`.",
        fine="not used",
    )


def _refuse_any(what: str, names: Iterable[str], text: str, *, fine: str) -> ReadinessFinding:
    listed = ", ".join(names)
    if listed:
        return ReadinessFinding(what, Consequence.REFUSED, text.format(listed))
    return ReadinessFinding(what, Consequence.FINE, fine)


def _names(tables: Iterable[TableTraits], has: Callable[[TableTraits], bool]) -> list[str]:
    return [each.name for each in tables if has(each)]


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):g} days"
