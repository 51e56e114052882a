"""Freshdesk's sample answers become rows."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import CredentialsRefused, HelpdeskAssetsError
from helpdesk_assets_tests.conformance.vendors import FRESHDESK
from helpdesk_assets_tests.vendor_samples.conftest import OpenHelpdesk
from helpdesk_assets_tests.vendor_samples.expected import row
from helpdesk_assets_tests.vendor_samples.samples import sample

FULL, BARE = sample("freshdesk", "list").body
FULL_ROW = row(
    FULL,
    "The label printer is silent",
    "Open",
    priority="High",
    assignee="77101",
    created="2026-11-01T08:00:00Z",
    modified="2026-11-02T10:00:05Z",
)
BARE_ROW = row(
    BARE,
    None,
    "Waiting on Third Party",
    priority="Low",
    created="2026-11-02T08:00:00Z",
    modified="2026-11-02T11:00:05Z",
)


def test_list_and_filters_become_rows(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(FRESHDESK, "list_deleted", "list_spam", "list", "agent")
    helpdesk.sync()
    (deleted,), (spam,) = (sample("freshdesk", name).body for name in ("list_deleted", "list_spam"))
    created = "2026-11-02T08:00:00Z"
    at_deletion, at_spam = "2026-11-03T11:00:05Z", "2026-11-03T12:00:05Z"
    assert helpdesk.rows() == {
        "101": FULL_ROW,
        "102": BARE_ROW,
        "103": row(
            deleted, "Test", "Open",
            priority="Low", created=created, modified=at_deletion, deleted=at_deletion,
        ),
        "104": row(
            spam, "Win", "Open",
            priority="Low", created=created, modified=at_spam, deleted=at_spam,
        ),
    }  # fmt: skip


def test_empty_list_is_no_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(FRESHDESK, "list_empty", "agent")
    helpdesk.sync()
    assert helpdesk.rows() == {}


def test_single_ticket_is_stored(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(FRESHDESK, "ticket", "agent")
    helpdesk.repair(["101"])
    shown = sample("freshdesk", "ticket").body
    assert helpdesk.rows() == {"101": {**FULL_ROW, "raw_json": shown}}


def test_archived_ticket_is_stored_as_alive(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(FRESHDESK, "archived", "ticket_not_found", "list_empty", "agent")
    helpdesk.repair(["105"], mark_deleted=True)
    expected = row(
        sample("freshdesk", "archived").body,
        "Old printer",
        "Closed",
        priority="High",
        assignee="77101",
        created="2025-01-01T08:00:00Z",
        modified="2025-01-02T10:00:05Z",
    )
    assert helpdesk.rows() == {"105": expected}


def test_plan_without_an_archive_buries_nothing(open_helpdesk: OpenHelpdesk) -> None:
    names = ("archive_not_in_plan", "ticket_not_found", "list_empty", "agent")
    helpdesk = open_helpdesk(FRESHDESK, *names)
    helpdesk.repair(["105"], mark_deleted=True)
    assert helpdesk.rows() == {}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("error_unauthenticated", CredentialsRefused),
        ("error_suspended", HelpdeskAssetsError),
    ],
)
def test_refused_login_is_an_error(
    open_helpdesk: OpenHelpdesk, name: str, error: type[Exception]
) -> None:
    helpdesk = open_helpdesk(FRESHDESK, name)
    with pytest.raises(error):
        helpdesk.sync()
    assert helpdesk.rows() == {}
