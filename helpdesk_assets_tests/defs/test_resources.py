"""The resources' targets, and that they leak no secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.errors import (
    ConcurrentUpdate,
    CredentialsRefused,
    SettingsError,
    WarehouseUnavailable,
)
from helpdesk_assets.settings import LOCAL_PROJECT, LOCAL_WAREHOUSE_URL
from helpdesk_assets_tests.defs.conftest import TOKEN, DagsterHarness


def test_default_is_the_local_warehouse(no_settings: None) -> None:
    settings = HelpdeskBigQuery().settings()
    assert settings.bigquery_project == LOCAL_PROJECT
    assert settings.bigquery_emulator_host == LOCAL_WAREHOUSE_URL


def test_project_argument_selects_bigquery(no_settings: None) -> None:
    settings = HelpdeskBigQuery(project="acme-analytics", location="EU").settings()
    assert settings.bigquery_project == "acme-analytics"
    assert settings.bigquery_location == "EU"
    assert settings.bigquery_emulator_host == ""


def test_settings_are_read_lazily(no_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = HelpdeskBigQuery()
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme-analytics")
    assert resource.settings().bigquery_project == "acme-analytics"
    assert resource.settings("other").bigquery_dataset == "other"


@pytest.mark.parametrize("ask", ["get_client", "warehouse"])
def test_remote_emulator_is_rejected(no_settings: None, ask: str) -> None:
    resource = HelpdeskBigQuery(project="p", api_endpoint="http://bigquery.example.com")
    with pytest.raises(SettingsError, match="not on this machine"), getattr(resource, ask)():
        pass


def test_get_client_returns_a_bigquery_client(harness: DagsterHarness) -> None:
    with HelpdeskBigQuery().get_client() as client:
        datasets = {found.dataset_id for found in client.list_datasets()}
    assert harness.warehouse.dataset.name in datasets


def test_missing_token_names_the_setting(
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
        (ConcurrentUpdate("moved"), False),
    ],
)
def test_only_transient_failures_are_retried(error: Exception, retried: bool) -> None:
    with pytest.raises(dg.Failure) as caught, as_failure():
        raise error
    assert caught.value.allow_retries is retried
    assert caught.value.description == str(error)


def test_unexpected_errors_propagate() -> None:
    with pytest.raises(KeyError), as_failure():
        raise KeyError("bug")


def everything_logged(harness: DagsterHarness) -> str:
    entries: list[Any] = []
    for record in harness.instance.get_run_records():
        entries += harness.instance.all_logs(record.dagster_run.run_id)
        entries.append(record.dagster_run)
    return "\n".join(map(repr, entries))


def test_token_appears_in_no_event_log_or_repr(
    harness: DagsterHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In a run that succeeds, one that falls back, and one whose token is refused."""
    from helpdesk_assets.definitions import defs

    caplog.set_level("DEBUG")
    refused = f"{TOKEN}-which-is-wrong"
    assert harness.sync().success
    harness.helpdesk.fault("error_500", on="search", count=1)
    assert harness.sync().success
    monkeypatch.setenv("HELPDESK_API_TOKEN", refused)
    assert not harness.sync().success

    seen = [everything_logged(harness), caplog.text, *capfd.readouterr(), repr(defs.resources)]
    assert "CredentialsRefused" in seen[0]
    assert all(TOKEN not in text for text in seen)


def test_event_log_contains_no_personal_data(harness: DagsterHarness) -> None:
    harness.sync()
    subjects = {
        ticket.raw_ticket["subject"]
        for ticket in harness.helpdesk.truth(raw_ticket=True)
        if ticket.raw_ticket
    }
    logged = everything_logged(harness)
    assert not [subject for subject in subjects if subject in logged]
    assert "@example" not in logged


def test_organisations_settings_reach_a_keyed_client(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = "sync@acme.iam.gserviceaccount.com"
    for name, value in (
        ("BIGQUERY_BILLING_PROJECT", "paying"),
        ("BIGQUERY_IMPERSONATE_SERVICE_ACCOUNT", account),
        ("BIGQUERY_ENDPOINT", "bigquery-desk.p.googleapis.com"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    login = {"type": "authorized_user", "client_id": "i", "client_secret": "s"}
    key = base64.b64encode(json.dumps({**login, "refresh_token": "t"}).encode()).decode()
    resource = HelpdeskBigQuery(project="acme", gcp_credentials=key)
    with resource.get_client() as client:
        assert client.project == "paying"
    with resource.warehouse() as warehouse:
        assert warehouse.target.paying_project == "paying"
        assert warehouse._client._credentials.service_account_email == account
        assert warehouse.target.endpoint == "https://bigquery-desk.p.googleapis.com"
        assert warehouse.dataset.project == "acme"
