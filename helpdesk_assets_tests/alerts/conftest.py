"""People to tell, and an instance as `dagster dev` has it: SQLite, one file per run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.alerts.alert_server import AlertServer


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    with AlertServer() as running:
        yield running


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One for all tests: a sensor that begins does not look back, so none sees another's runs."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as local:
        yield local


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and no .env either."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
