"""Metadata show what they may and no more."""

from __future__ import annotations

from datetime import UTC, datetime

from helpdesk_assets.defs.metadata import (
    NAMED_TICKETS,
    SHOWN_ROWS,
    TICKET_IDS,
    bad_table,
    merged,
    missed_table,
    plain,
)
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.model.webhooks import MissedUpdate
from helpdesk_assets.warehouse.table_spec import MergeReport

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_zeros_are_told_and_unknowns_are_not() -> None:
    told = merged(MergeReport("t", changed=0, inserted=0, updated=None), "p.d.t")
    assert told["rows_changed"] == told["rows_inserted"] == told["bytes_billed"] == 0
    assert told["merge_seconds"] == 0.0
    assert "rows_updated" not in told


def test_tables_of_many_rows_are_cut_and_say_so() -> None:
    missed = [MissedUpdate(str(i), NOON, "stale", 600.0 - i) for i in range(SHOWN_ROWS + 10)]
    text = str(missed_table(missed, 240).value)
    assert text.count("| stale |") == SHOWN_ROWS
    assert text.endswith(f"… and {240 - SHOWN_ROWS} more")


def test_a_value_cannot_break_out_of_its_cell() -> None:
    (_, _, row) = str(bad_table([BadTicket("7", "a|b", "two\nlines")]).value).splitlines()
    assert row == "| 7 | a/b | two lines |"


def test_nothing_missed_is_said_in_a_word() -> None:
    assert missed_table([], 0).value == "none"


def test_facts_about_tickets_name_the_first_few_of_them_once() -> None:
    versions = [i // 2 for i in range(60)]
    missed = tuple(MissedUpdate(str(i), NOON, "stale", 1.0) for i in versions)
    told = plain({"missed": 60, "missed_named": missed})
    assert told[TICKET_IDS].value == [str(i) for i in range(NAMED_TICKETS)]
    assert plain({"missed_named": ()})[TICKET_IDS].value == []
    assert TICKET_IDS not in plain({"table_rows": 7})
