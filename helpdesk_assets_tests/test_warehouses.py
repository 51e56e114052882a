"""Selection of the tests' warehouse, and the errors if it is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.auth import environment_vars
from google.cloud import bigquery

from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.access import client_options
from helpdesk_assets.warehouse.bigquery.connection import open_client
from helpdesk_assets_tests import datasets, warehouses
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.warehouses import (
    ROOT,
    WarehouseKind,
    WarehouseMissing,
    open_warehouse,
    require,
)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "needs BIGQUERY_PROJECT"),
        (
            {"BIGQUERY_PROJECT": "acme", "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050"},
            "BIGQUERY_EMULATOR_HOST is set: unset it",
        ),
    ],
)
def test_bigquery_needs_a_project_and_no_emulator(environ: dict[str, str], said: str) -> None:
    with pytest.raises(WarehouseMissing, match=said):
        require(WarehouseKind.BIGQUERY, environ)


def test_bigquery_needs_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(environment_vars.CREDENTIALS, raising=False)
    monkeypatch.setenv(environment_vars.CLOUD_SDK_CONFIG_DIR, str(tmp_path))
    monkeypatch.setenv(environment_vars.NO_GCE_CHECK, "true")
    with pytest.raises(WarehouseMissing, match="finds no credentials: run `gcloud auth"):
        require(WarehouseKind.BIGQUERY, {"BIGQUERY_PROJECT": "acme"})


def test_missing_judge_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(warehouses, "LOCAL_PROGRAMS", tmp_path)
    with pytest.raises(WarehouseMissing, match="run `make googlesql-judge`"):
        require(WarehouseKind.GOOGLESQL, {"PATH": str(tmp_path)})
    (tmp_path / warehouses.JUDGE).touch(mode=0o755)
    require(WarehouseKind.GOOGLESQL, {"PATH": ""})


def test_another_stand_in_needs_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouses, "find_spec", lambda _: None)
    with pytest.raises(WarehouseMissing, match="run `make test-local-bigquery`"):
        require(WarehouseKind.LOCAL_BIGQUERY, {})


def test_pytest_exits_with_one_line_before_the_first_test() -> None:
    command = [sys.executable, "-m", "pytest", "--warehouse=bigquery", "--co", "-q"]
    found = subprocess.run(
        [*command, str(Path(__file__).parent / "test_formatting.py")],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs BIGQUERY_PROJECT" in found.stderr
    assert "Traceback" not in found.stderr


def _settings(endpoint: str) -> Settings:
    return Settings(bigquery_project="acme", bigquery_emulator_host=endpoint)


def test_bigquery_is_used_without_an_emulator_host(tmp_path: Path) -> None:
    with open_warehouse(WarehouseKind.BIGQUERY, tmp_path) as endpoint:
        assert endpoint == ""
        assert client_options(_settings(endpoint)) is None


def test_bigquery_dataset_is_removed_even_after_a_failure(
    warehouse_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same calls, to the local warehouse."""
    monkeypatch.setenv("BIGQUERY_PROJECT", "acme")

    def client() -> bigquery.Client:
        return open_client(_settings(warehouse_endpoint))

    monkeypatch.setattr(datasets, "_client", lambda _: client())
    made = []

    def fail(settings: Settings) -> None:
        made.append(client().get_dataset(settings.bigquery_dataset))
        client().create_table(bigquery.Table(made[0].table("left_over")))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), fresh_dataset("") as settings:
        fail(settings)
    assert (settings.bigquery_project, settings.bigquery_emulator_host) == ("acme", "")
    assert made[0].dataset_id == settings.bigquery_dataset
    assert made[0].dataset_id not in [each.dataset_id for each in client().list_datasets()]
