from __future__ import annotations

import os
from unittest import mock

import pytest
from google.auth.credentials import AnonymousCredentials

from helpdesk_assets.errors import SettingsError, WarehouseUnavailable
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines


def settings(host: str) -> Settings:
    return Settings(bigquery_project="acme", bigquery_emulator_host=host)


@pytest.mark.parametrize(
    "host",
    [
        "http://bigquery.example.com:9050",
        "http://10.0.0.7:9050",
        "http://localhost.example.com:9050",
        "http://127.0.0.1@example.com:9050",
        "http://0.0.0.0:9050",
        "http://[::2]:9050",
        "http://",
    ],
)
def test_remote_emulator_is_rejected(host: str) -> None:
    with pytest.raises(SettingsError, match="BIGQUERY_EMULATOR_HOST"):
        connect(settings(host))


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:1", "127.8.9.1:1", "http://localhost:1", "http://[::1]:1"]
)
def test_local_emulator_needs_no_credentials(host: str) -> None:
    warehouse = connect(settings(host))
    assert warehouse.is_emulator
    assert isinstance(warehouse._client._credentials, AnonymousCredentials)
    warehouse.close()


def test_repr_shows_the_dataset_and_no_credentials() -> None:
    warehouse = connect(settings("http://127.0.0.1:1"))
    assert repr(warehouse) == "BigQueryClient(acme.helpdesk_data at http://127.0.0.1:1)"
    assert "credential" not in repr(warehouse.target).lower()
    warehouse.close()


def test_missing_credentials_give_a_message_with_a_fix() -> None:
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/key.json",
        "NO_GCE_CHECK": "true",
        "PATH": os.environ["PATH"],
    }
    real = settings("")
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        pytest.raises(SettingsError, match="gcloud auth application-default login"),
    ):
        connect(real)


def test_unreachable_service_is_named_by_its_address() -> None:
    quick = Deadlines(request=1.0, call=0.1, job=1.0)
    warehouse = connect(settings("http://127.0.0.1:1"), deadlines=quick)
    with pytest.raises(WarehouseUnavailable, match=r"http://127\.0\.0\.1:1 did not answer"):
        warehouse.get_table("tickets")
    warehouse.close()
