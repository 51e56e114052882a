"""Where resources point, and that nothing they know leaks."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.errors import (
    AnotherWriter,
    CredentialsRefused,
    SettingsError,
    WarehouseUnavailable,
)
from helpdesk_assets.settings import EMBEDDED_PROJECT, EMBEDDED_WAREHOUSE
from helpdesk_assets_tests.defs.conftest import TOKEN, World


def test_with_nothing_set_the_local_warehouse_is_meant(no_settings: None) -> None:
    settings = HelpdeskBigQuery().settings()
    assert settings.bigquery_project == EMBEDDED_PROJECT
    assert settings.bigquery_emulator_host == EMBEDDED_WAREHOUSE


def test_a_project_named_in_code_is_the_real_services(no_settings: None) -> None:
    settings = HelpdeskBigQuery(project="acme-analytics", location="EU").settings()
    assert settings.bigquery_project == "acme-analytics"
    assert settings.bigquery_location == "EU"
    assert settings.bigquery_emulator_host == ""


def test_settings_are_read_when_they_are_asked_for(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = HelpdeskBigQuery()
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme-analytics")
    assert resource.settings().bigquery_project == "acme-analytics"
    assert resource.settings("other").bigquery_dataset == "other"


@pytest.mark.parametrize("ask", ["get_client", "warehouse"])
def test_no_tickets_go_to_a_stand_in_on_another_machine(no_settings: None, ask: str) -> None:
    resource = HelpdeskBigQuery(project="p", api_endpoint="http://bigquery.example.com")
    with pytest.raises(SettingsError, match="not on this machine"), getattr(resource, ask)():
        pass


def test_the_client_is_one_that_users_know(world: World) -> None:
    with HelpdeskBigQuery().get_client() as client:
        datasets = {found.dataset_id for found in client.list_datasets()}
    assert world.warehouse.dataset.name in datasets


def test_a_helpdesk_without_a_token_says_which_setting_lacks(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_BASE_URL", "https://acme.example.com")
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN"), HelpdeskResource().open():
        pass


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (WarehouseUnavailable("later"), True),
        (CredentialsRefused("no"), False),
        (AnotherWriter("moved"), False),
    ],
)
def test_only_what_passes_by_itself_is_retried(error: Exception, retried: bool) -> None:
    with pytest.raises(dg.Failure) as caught, as_failure():
        raise error
    assert caught.value.allow_retries is retried
    assert caught.value.description == str(error)


def test_a_bug_is_left_as_it_is() -> None:
    with pytest.raises(KeyError), as_failure():
        raise KeyError("bug")


def everything_logged(world: World) -> str:
    entries: list[Any] = []
    for record in world.instance.get_run_records():
        entries += world.instance.all_logs(record.dagster_run.run_id)
        entries.append(record.dagster_run)
    return "\n".join(map(repr, entries))


def test_the_token_is_in_no_event_log_line_or_repr(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Over a run that succeeds, one that falls back, and one whose token is refused."""
    from helpdesk_assets.definitions import defs

    caplog.set_level("DEBUG")
    refused = f"{TOKEN}-which-is-wrong"
    assert world.sync().success
    world.helpdesk.fault("error_500", on="search", count=1)
    assert world.sync().success
    monkeypatch.setenv("HELPDESK_API_TOKEN", refused)
    assert not world.sync().success

    seen = [everything_logged(world), caplog.text, *capfd.readouterr(), repr(defs.resources)]
    assert "CredentialsRefused" in seen[0]
    assert all(TOKEN not in text for text in seen)


def test_no_subject_and_no_address_is_in_the_event_log(world: World) -> None:
    world.sync()
    subjects = {
        ticket.whole["subject"] for ticket in world.helpdesk.truth(whole=True) if ticket.whole
    }
    logged = everything_logged(world)
    assert not [subject for subject in subjects if subject in logged]
    assert "@example" not in logged
