"""The fixtures of Dagster's tests, with an instance that a daemon can share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from helpdesk_assets_tests.alerts.alert_server import AlertServer
from helpdesk_assets_tests.defs.conftest import environment as environment
from helpdesk_assets_tests.defs.conftest import harness as harness
from helpdesk_assets_tests.defs.conftest import helpdesk as helpdesk
from helpdesk_assets_tests.defs.conftest import no_settings as no_settings
from helpdesk_assets_tests.defs.real_daemon import make_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = make_home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as kept:
        yield kept


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    """The recipient in ALERT_URLS."""
    with AlertServer() as running:
        yield running
