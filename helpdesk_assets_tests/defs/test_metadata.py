"""Metadata shows what it should and nothing secret."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from helpdesk_assets.defs.metadata import MAX_TICKET_IDS, TICKET_IDS, check_metadata, merged
from helpdesk_assets.defs.metadata_values import MAX_TABLE_ROWS, bad_table, missed_table
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.model.webhooks import MissedUpdate
from helpdesk_assets.warehouse.table_spec import MergeReport

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_zeros_are_reported_and_unknowns_omitted() -> None:
    plain_metadata = merged(MergeReport("t", changed=0, inserted=0, updated=None), "p.d.t")
    assert (
        plain_metadata["rows_changed"]
        == plain_metadata["rows_inserted"]
        == plain_metadata["bytes_billed"]
        == 0
    )
    assert plain_metadata["merge_seconds"] == 0.0
    assert "rows_updated" not in plain_metadata
    assert plain_metadata["job_ids"] == ""
    assert "job" not in plain_metadata


def test_jobs_of_a_write_are_named_and_linked() -> None:
    page = "https://console.cloud.google.com/bigquery?project=p"
    metadata = merged(MergeReport("t", changed=1, job_ids=("helpdesk_1", "helpdesk_2")), "t", page)
    assert metadata["job_ids"] == "helpdesk_1, helpdesk_2"
    assert metadata["job"].value == page


def test_long_tables_are_truncated_with_a_note() -> None:
    missed = [MissedUpdate(str(i), NOON, "stale", 600.0 - i) for i in range(MAX_TABLE_ROWS + 10)]
    text = str(missed_table(missed, 240).value)
    assert text.count("| stale |") == MAX_TABLE_ROWS
    assert text.endswith(f"… and {240 - MAX_TABLE_ROWS} more")


def test_values_are_escaped_in_table_cells() -> None:
    (_, _, row) = str(bad_table([BadTicket("7", "a|b", "two\nlines")]).value).splitlines()
    assert row == "| 7 | a/b | two lines |"


@pytest.mark.parametrize(
    "ticket_id",
    [
        "![x](http://evil.example)",
        "<img src=x>",
        "<http://evil.example>",
        "www.evil.example",
        "`*~&",
    ],
)
def test_ticket_ids_are_no_markdown(ticket_id: str) -> None:
    (_, _, row) = str(bad_table([BadTicket(ticket_id, "f", "p")]).value).splitlines()
    assert not re.search(r"(?<!\\)[\[\]<>`*~&]|(?<!\\)://|www\.", row)
    assert re.sub(r"\\(.)", r"\1", row) == f"| {ticket_id} | f | p |"


def test_no_missed_updates_is_one_word() -> None:
    assert missed_table([], 0).value == "none"


def test_counts_list_the_first_tickets_once() -> None:
    versions = [i // 2 for i in range(60)]
    missed = tuple(MissedUpdate(str(i), NOON, "stale", 1.0) for i in versions)
    plain_metadata = check_metadata({"missed": 60, "missed_named": missed})
    assert plain_metadata[TICKET_IDS].value == [str(i) for i in range(MAX_TICKET_IDS)]
    assert check_metadata({"missed_named": ()})[TICKET_IDS].value == []
    assert TICKET_IDS not in check_metadata({"table_rows": 7})
