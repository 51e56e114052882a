"""What `doctor` says of Zendesk's settings, and which tickets the export is asked for."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.base import DoctorWarning
from helpdesk_assets.providers.zendesk.adapter import describe_settings, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.zendesk.login import (
    ConnectClient,
    client_runtime,
    client_settings,
)

ADDRESS = "ann@example.com"
CLIENT = {"zendesk_client_id": "sync_client", "zendesk_client_secret": "s3cret"}


def described(**more: Any) -> dict[str, str]:
    settings = Settings.model_validate({"helpdesk_token_cache": "off", **more})
    return {name: look() for name, look in describe_settings(settings).items()}


def test_doctor_describes_a_client(tmp_path: Path) -> None:
    assert described(**CLIENT, helpdesk_token_cache=str(tmp_path)) == {
        "helpdesk_user": "not used: ZENDESK_CLIENT_ID is",
        "helpdesk_api_token": "not used: ZENDESK_CLIENT_ID is",
        "helpdesk_page_size": "1000",
        "helpdesk_concurrency": "1 (the export has one cursor)",
        "helpdesk_result_cap": "not used: the export has no cap",
        "helpdesk_fetch_details": "not used: the export's rows are whole tickets",
        "helpdesk_timeout_seconds": "30; for the export 120",
        "helpdesk_token_cache": str(tmp_path),
        "zendesk_client_id": "sync_client",
        "zendesk_client_secret": "set (not shown)",
        "zendesk_exports_per_minute": "10",
        "zendesk_tickets": "all",
    }


def test_doctor_warns_of_the_end_of_api_tokens() -> None:
    said = described(helpdesk_api_token="t0ken", helpdesk_user=ADDRESS)
    assert said["helpdesk_user"] == ADDRESS
    assert isinstance(said["helpdesk_api_token"], DoctorWarning)
    assert "ends all API tokens on 2027-04-30" in said["helpdesk_api_token"]
    assert "t0ken" not in str(said)
    assert said["zendesk_client_id"] == "empty: HELPDESK_API_TOKEN is used"


def test_doctor_warns_of_a_token_that_is_not_renewed() -> None:
    said = described(helpdesk_api_token="t0ken")["helpdesk_api_token"]
    assert isinstance(said, DoctorWarning)
    assert "not renewed" in said


@pytest.mark.parametrize("missing", CLIENT)
def test_doctor_names_the_missing_half_of_a_client(missing: str) -> None:
    half = Settings.model_validate({**CLIENT, missing: ""})
    rows = describe_settings(half)
    with pytest.raises(SettingsError, match=f"{missing.upper()} is empty"):
        rows[missing]()
    (other,) = set(CLIENT) - {missing}
    assert rows[other]()


@pytest.mark.parametrize("given", [{}, {"helpdesk_user": ADDRESS}, {"helpdesk_api_token": " "}])
def test_missing_login_names_what_can_still_be_made(given: dict[str, str]) -> None:
    settings = Settings.model_validate(
        {"helpdesk_base_url": "https://example.zendesk.com", **given}
    )
    for look in (
        describe_settings(settings)["helpdesk_api_token"],
        lambda: from_settings(settings),
    ):
        with pytest.raises(SettingsError, match="Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET"):
            look()


@pytest.mark.parametrize("scope", ["all", "agent", "ai_agent"])
@pytest.mark.parametrize("way", ["changes", "inventory"])
def test_only_chosen_tickets_are_read(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, scope: str, way: str
) -> None:
    """An export that names no scope leaves out what only AI agents handle."""
    helpdesk = connect_oauth(zendesk_tickets=scope)
    if way == "changes":
        read = {ticket.ticket_id for page in helpdesk.changes(None) for ticket in page.tickets}
    else:
        read = {entry.ticket_id for page in helpdesk.inventory() for entry in page.entries}
    everything = {one.ticket_id for one in zendesk.truth(include_removed=True)}
    assert read <= everything
    assert (read == everything) == (scope == "all")
    assert read


def test_inventory_leaves_half_of_the_exports_to_others(
    zendesk: SimulatedHelpdesk, waits: list[float]
) -> None:
    settings = client_settings(zendesk, helpdesk_page_size=10).for_reconciliation
    helpdesk = from_settings(settings, client_runtime(zendesk, waits))
    with closing(helpdesk):
        pages = list(helpdesk.inventory())
    assert sum(len(page.entries) for page in pages) == 120
    # Five in the first minute, five in the second, then the rest; the last minute is waited for.
    assert waits == [60.0, 60.0, 61.0]


def test_wait_of_a_reconciliation_is_told_without_verbose(
    connect_oauth: ConnectClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        list(connect_oauth().inventory())
    assert "Waiting 61 s, until the export shows the latest changes." in caplog.messages


def test_unknown_choice_of_tickets_is_refused() -> None:
    with pytest.raises(ValueError, match="zendesk_tickets"):
        Settings.model_validate({"zendesk_tickets": "human"})
