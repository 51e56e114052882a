"""Who calls BigQuery, at which address, who pays, and with which key things are encrypted."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.access import (
    client_options,
    credentials,
    rest_address,
    storage_address,
)
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.restrictive_service import RestrictiveService

KEY = "projects/keys/locations/eu/keyRings/ring/cryptoKeys/key"
# A login of a person, which no server issued.
LOGIN = {
    "type": "authorized_user",
    "client_id": "an-id",
    "client_secret": "a-secret",
    "refresh_token": "a-token",
}


def settings(**more: Any) -> Settings:
    return Settings(bigquery_project="acme", bigquery_emulator_host="", **more)


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "login.json"
    path.write_text(json.dumps(LOGIN))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def test_login_of_the_environment_is_used(login: None) -> None:
    found = credentials(settings(bigquery_quota_project="paying"))
    assert isinstance(found, Credentials)
    assert found.quota_project_id == "paying"


def test_service_account_is_impersonated(login: None) -> None:
    account = "sync@acme.iam.gserviceaccount.com"
    found = credentials(
        settings(bigquery_impersonate_service_account=account, bigquery_quota_project="paying")
    )
    assert isinstance(found, impersonated_credentials.Credentials)
    assert found.service_account_email == account
    assert found.quota_project_id == "paying"
    assert isinstance(found._source_credentials, Credentials)


def test_emulator_gets_no_credentials(login: None) -> None:
    local = Settings(bigquery_project="acme", bigquery_emulator_host="http://127.0.0.1:1")
    assert isinstance(credentials(local), AnonymousCredentials)


def test_paying_project_runs_the_jobs(login: None) -> None:
    with closing(connect(settings(bigquery_billing_project="paying"))) as warehouse:
        assert warehouse._client.project == "paying"
        assert warehouse.target.paying_project == "paying"
        assert warehouse.dataset.table_id("tickets") == "acme.helpdesk_data.tickets"
    with closing(connect(settings())) as warehouse:
        assert warehouse._client.project == "acme"


@pytest.mark.parametrize(
    ("endpoint", "rest", "storage"),
    [
        ("", "", None),
        (
            "https://bigquery.europe-west3.rep.googleapis.com/",
            "https://bigquery.europe-west3.rep.googleapis.com",
            "bigquerystorage.europe-west3.rep.googleapis.com",
        ),
        (
            "bigquery-desk.p.googleapis.com",
            "https://bigquery-desk.p.googleapis.com",
            "bigquerystorage-desk.p.googleapis.com",
        ),
    ],
)
def test_regional_and_private_addresses(
    login: None, endpoint: str, rest: str, storage: str | None
) -> None:
    found = settings(bigquery_endpoint=endpoint)
    assert (rest_address(found), storage_address(found)) == (rest, storage)
    with closing(connect(found)) as warehouse:
        assert warehouse.target.endpoint == rest or not endpoint
        assert not warehouse.is_emulator


def test_tunnel_on_this_machine_may_be_plain() -> None:
    assert rest_address(settings(bigquery_endpoint="http://127.0.0.1:8443")) != ""


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://bigquery.googleapis.com",
        "http://10.0.0.7:9050",
        "ftp://bigquery.googleapis.com",
        "https://",
        "https://me:hunter2@bigquery.googleapis.com",
        "https://bigquery.googleapis.com/bigquery/v2",
    ],
)
def test_address_that_is_not_safe_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"BIGQUERY_ENDPOINT.*https://") as refused:
        client_options(settings(bigquery_endpoint=endpoint))
    assert "hunter2" not in str(refused.value)


def test_storage_address_needs_a_known_name() -> None:
    with pytest.raises(SettingsError, match="begins with bigquery"):
        storage_address(settings(bigquery_endpoint="https://warehouse.example.com"))


def test_storage_address_of_an_emulator_is_local() -> None:
    local: dict[str, Any] = {
        "bigquery_project": "acme",
        "bigquery_emulator_host": "http://127.0.0.1:9050",
    }
    assert storage_address(Settings(**local)) == "127.0.0.1:9060"
    elsewhere = Settings(**local, bigquery_emulator_grpc_host="10.0.0.7:9060")
    with pytest.raises(SettingsError, match="BIGQUERY_EMULATOR_GRPC_HOST"):
        storage_address(elsewhere)


def test_endpoint_beside_an_emulator_is_refused() -> None:
    both = Settings(bigquery_endpoint="https://bigquery.googleapis.com")
    with pytest.raises(SettingsError, match="Set BIGQUERY_PROJECT and leave"):
        rest_address(both)


def test_key_must_be_a_full_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIGQUERY_KMS_KEY", "key")
    with pytest.raises(SettingsError, match=r"BIGQUERY_KMS_KEY.*cryptoKeys/KEY"):
        load_settings()


def test_jobs_and_tables_are_encrypted_with_the_key(warehouse_settings: Settings) -> None:
    with RestrictiveService(warehouse_settings.bigquery_emulator_host) as service:
        more = {"bigquery_emulator_host": service.endpoint, "bigquery_kms_key": KEY}
        with closing(connect(warehouse_settings.model_copy(update=more))) as warehouse:
            Schema(warehouse).ensure(tables.SYNC_STATE)
            name = warehouse.dataset.table("sync_state")
            Schema(warehouse).ensure_view("of_state", f"SELECT version FROM {name}", "A view.")
            warehouse.run(Query(f"DELETE FROM {name} WHERE FALSE"), run_id="r", step="s")
            with Spool(1) as spool:
                spool.append(b'{"sync_name": "a"}')
                Staging(warehouse).load(
                    "x__stg", tables.SYNC_STATE.columns, spool, run_id="r", step="s"
                )
    expected = {"kmsKeyName": KEY}
    made = {body["tableReference"]["tableId"]: body for body in service.bodies_of("/tables")}
    assert made["sync_state"]["encryptionConfiguration"] == expected
    assert made["x__stg"]["encryptionConfiguration"] == expected
    assert "encryptionConfiguration" not in made["of_state"]
    configurations = [
        body["configuration"].get("query") or body["configuration"]["load"]
        for body in service.bodies_of("/jobs")
        if "configuration" in body
    ]
    assert len(configurations) == 2
    assert [each["destinationEncryptionConfiguration"] for each in configurations] == [expected] * 2
