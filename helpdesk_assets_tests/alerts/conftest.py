"""Recipients of alerts, and a Dagster instance on SQLite with one file per run.

`dagster dev` has such an instance.
"""

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
    """One instance for all tests: a new sensor ignores earlier runs, so no test sees another's."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as local:
        yield local


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove this project's variables and the .env file."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
