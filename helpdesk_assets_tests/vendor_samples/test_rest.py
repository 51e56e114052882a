"""Sample answers of the API `rest` become rows."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import CredentialsRefused
from helpdesk_assets_tests.conformance.vendors import REST
from helpdesk_assets_tests.vendor_samples.conftest import OpenHelpdesk
from helpdesk_assets_tests.vendor_samples.expected import row
from helpdesk_assets_tests.vendor_samples.samples import sample

FULL, DELETED = sample("rest", "search").body["tickets"]
FULL_ROW = row(
    FULL,
    "The label printer is silent",
    "Open",
    priority="High",
    assignee="Bob",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-02T10:00:05Z",
)


def test_search_becomes_rows(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REST, "search")
    helpdesk.sync()
    deleted = row(
        DELETED,
        "Paper",
        "Open",
        priority="High",
        created="2026-11-01T08:00:00Z",
        modified="2026-11-02T12:00:00Z",
        deleted="2026-11-02T12:00:00Z",
    )
    assert helpdesk.rows() == {"A-1": FULL_ROW, "12": deleted}


def test_empty_search_is_no_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REST, "search_empty")
    helpdesk.sync()
    assert helpdesk.rows() == {}


def test_single_ticket_is_stored(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REST, "ticket")
    helpdesk.repair(["A-1"])
    assert helpdesk.rows() == {"A-1": FULL_ROW}


def test_refused_login_is_an_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(REST, "error_unauthenticated")
    with pytest.raises(CredentialsRefused):
        helpdesk.sync()
    assert helpdesk.rows() == {}
