"""Zoho Desk's sample answers become rows."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import CredentialsRefused, HelpdeskAssetsError
from helpdesk_assets_tests.conformance.vendors import ZOHO_DESK
from helpdesk_assets_tests.vendor_samples.conftest import OpenHelpdesk
from helpdesk_assets_tests.vendor_samples.expected import row
from helpdesk_assets_tests.vendor_samples.samples import at, sample

FULL, BARE = sample("zoho_desk", "search").body["data"]
FULL_ROW = row(
    FULL,
    "The label printer is silent",
    "Open",
    priority="High",
    assignee="1892000000056007",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-02T10:00:05Z",
)
# Its modified time is a number of milliseconds, its priority `-None-`.
BARE_ROW = row(
    BARE,
    "Paper",
    "Waiting on part",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-03T10:00:05.123Z",
)
ROWS = {"1892000000042034": FULL_ROW, "1892000000042035": BARE_ROW}
TRASHED = "1892000000042036"


def test_search_becomes_rows(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZOHO_DESK, "token", "modules", "search", "bin_empty")
    helpdesk.sync()
    assert helpdesk.rows() == ROWS


def test_trashed_ticket_that_answers_is_dated(open_helpdesk: OpenHelpdesk) -> None:
    names = ("token", "modules", "search", "bin", "bin_end", "bin_empty", "ticket_trashed")
    helpdesk = open_helpdesk(ZOHO_DESK, *names)
    helpdesk.sync()
    expected = row(
        sample("zoho_desk", "ticket_trashed").body,
        "Label printer",
        "Open",
        priority="High",
        assignee="1892000000056007",
        created="2026-11-01T08:00:00Z",
        modified="2026-11-03T17:16:16Z",
        deleted="2026-11-03T17:16:16Z",
    )
    assert helpdesk.rows() == {**ROWS, TRASHED: expected}


def test_trashed_ticket_that_does_not_answer_keeps_its_row(open_helpdesk: OpenHelpdesk) -> None:
    """The bin's row says that it is gone, and nothing of the ticket."""
    names = ("token", "modules", "search", "bin", "bin_end", "bin_empty", "ticket_not_found")
    helpdesk = open_helpdesk(ZOHO_DESK, *names)
    helpdesk.sync()
    rows = helpdesk.rows()
    assert rows.keys() == {*ROWS, TRASHED}
    assert rows[TRASHED]["deletedTime"] == at("2026-11-03T17:16:16Z")
    assert {key: rows[key] for key in ROWS} == ROWS


def test_empty_search_is_no_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZOHO_DESK, "token", "modules", "search_empty", "bin_empty")
    helpdesk.sync()
    assert helpdesk.rows() == {}


@pytest.mark.parametrize("name", ["ticket", "ticket_flags_as_text"])
def test_single_ticket_is_stored_as_alive(open_helpdesk: OpenHelpdesk, name: str) -> None:
    helpdesk = open_helpdesk(ZOHO_DESK, "token", name)
    helpdesk.repair(["1892000000042034"])
    (stored,) = helpdesk.rows().values()
    assert {**stored, "raw_json": FULL} == FULL_ROW
    assert stored["raw_json"].items() >= FULL.items()


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("token_refused",), CredentialsRefused),
        (("token", "error_scope"), CredentialsRefused),
        (("token", "error_unprocessable"), HelpdeskAssetsError),
    ],
)
def test_refusal_is_an_error(
    open_helpdesk: OpenHelpdesk, names: tuple[str, ...], error: type[Exception]
) -> None:
    helpdesk = open_helpdesk(ZOHO_DESK, *names, "bin_empty")
    with pytest.raises(error):
        helpdesk.sync()
    assert helpdesk.rows() == {}
