"""Request Tracker's sample answers become rows."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets_tests.conformance.vendors import REQUEST_TRACKER
from helpdesk_assets_tests.vendor_samples.conftest import OpenHelpdesk
from helpdesk_assets_tests.vendor_samples.expected import row
from helpdesk_assets_tests.vendor_samples.samples import at, sample

FULL, BARE = sample("request_tracker", "tickets").body["items"]
FULL_ROW = row(
    FULL,
    "The label printer is silent",
    "open",
    priority="50",
    assignee="bob",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-02T10:00:05Z",
)
BARE_ROW = row(
    BARE,
    "",
    "new",
    priority="0",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-02T11:00:00Z",
)


def test_search_becomes_rows(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REQUEST_TRACKER, "user", "transactions_empty", "tickets")
    helpdesk.sync()
    assert helpdesk.rows() == {"11": FULL_ROW, "12": BARE_ROW}


def test_deleted_and_merged_tickets_are_dated(open_helpdesk: OpenHelpdesk) -> None:
    names = ("user", "transactions", "tickets_empty", "ticket", "ticket_deleted")
    helpdesk = open_helpdesk(REQUEST_TRACKER, *names)
    helpdesk.sync()
    rows = helpdesk.rows()
    deleted = {key: value for key, value in FULL_ROW.items() if key != "raw_json"}
    deleted |= {
        "subject": "Test",
        "status": "deleted",
        "modifiedTime": at("2026-11-03T17:16:16Z"),
        "deletedTime": at("2026-11-03T17:16:16Z"),
    }
    assert {**rows["13"], "raw_json": None} == {**deleted, "raw_json": None}
    assert (rows["13"]["raw_json"]["id"], rows["13"]["raw_json"]["CustomFields"]) == ("13", "")
    # Its id answers with the other ticket, so that only the transaction is left of it.
    assert rows["14"]["deletedTime"] == at("2026-11-03T18:16:16Z")
    assert rows["14"]["raw_json"]["Field"] == "MergedInto"
    assert rows.keys() == {"13", "14"}


def test_empty_lists_are_no_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REQUEST_TRACKER, "user", "transactions_empty", "tickets_empty")
    helpdesk.sync()
    assert helpdesk.rows() == {}


def test_single_ticket_is_stored(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REQUEST_TRACKER, "user", "tickets_empty", "ticket")
    helpdesk.repair(["11"])
    (stored,) = helpdesk.rows().values()
    assert {**stored, "raw_json": FULL} == FULL_ROW


@pytest.mark.parametrize(
    ("name", "error"),
    [("error_unauthenticated", CredentialsRefused), ("error_query", EndpointFailed)],
)
def test_refusal_is_an_error(
    open_helpdesk: OpenHelpdesk, name: str, error: type[Exception]
) -> None:
    helpdesk = open_helpdesk(REQUEST_TRACKER, name, "user", "transactions_empty")
    with pytest.raises(error):
        helpdesk.sync()
    assert helpdesk.rows() == {}
