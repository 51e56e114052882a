"""Zendesk's sample answers become rows."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import CredentialsRefused
from helpdesk_assets_tests.conformance.vendors import ZENDESK
from helpdesk_assets_tests.vendor_samples.conftest import OpenHelpdesk
from helpdesk_assets_tests.vendor_samples.expected import row
from helpdesk_assets_tests.vendor_samples.samples import sample

FULL, BARE = sample("zendesk", "export").body["tickets"]
FULL_ROW = row(
    FULL,
    "The label printer is silent",
    "open",
    priority="high",
    assignee="410017",
    created="2026-10-20T07:15:29Z",
    modified="2026-10-20T09:18:40Z",
)
BARE_ROW = row(BARE, None, "new", created="2026-10-21T08:00:00Z", modified="2026-10-21T08:00:00Z")


def test_export_becomes_rows(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "export")
    helpdesk.sync()
    assert helpdesk.rows() == {"35501": FULL_ROW, "35502": BARE_ROW}


def test_deleted_ticket_of_the_export_is_dated(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "export_deleted")
    helpdesk.sync()
    (deleted,) = sample("zendesk", "export_deleted").body["tickets"]
    expected = row(
        deleted,
        "SCRUBBED",
        "deleted",
        created="2026-10-21T08:00:00Z",
        modified="2026-10-21T08:00:00Z",
        deleted="2026-10-21T09:00:00Z",
    )
    assert helpdesk.rows() == {"35503": expected}


def test_empty_export_is_no_error(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "export_empty")
    helpdesk.sync()
    assert helpdesk.rows() == {}


def test_empty_page_is_not_the_end(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "export_empty_before_the_end", "export")
    helpdesk.sync()
    assert helpdesk.rows().keys() == {"35501", "35502"}


def test_page_that_takes_too_long_is_asked_smaller(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "error_gateway", "export")
    helpdesk.sync()
    assert helpdesk.rows().keys() == {"35501", "35502"}


def test_side_loads_do_not_confuse_the_export(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "export_with_side_loads")
    helpdesk.sync()
    (ticket,) = sample("zendesk", "export_with_side_loads").body["tickets"]
    assert helpdesk.rows() == {"35501": {**FULL_ROW, "raw_json": ticket}}


def test_single_ticket_is_stored(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "ticket")
    helpdesk.repair(["35501"])
    shown = sample("zendesk", "ticket").body["ticket"]
    assert helpdesk.rows() == {"35501": {**FULL_ROW, "raw_json": shown}}


def test_single_ticket_not_found_stores_nothing(open_helpdesk: OpenHelpdesk) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", "ticket_not_found")
    helpdesk.repair(["35503"])
    assert helpdesk.rows() == {}


@pytest.mark.parametrize("name", ["error_unauthenticated", "error_forbidden"])
def test_refused_login_is_an_error(open_helpdesk: OpenHelpdesk, name: str) -> None:
    helpdesk = open_helpdesk(ZENDESK, "token", name)
    with pytest.raises(CredentialsRefused):
        helpdesk.sync()
    assert helpdesk.rows() == {}
