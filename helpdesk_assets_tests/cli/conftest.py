"""The command line against the simulated helpdesk and the local warehouse, over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpdesk_assets.cli.commands import root
from helpdesk_assets.local.simulator.server import DEFAULT_TOKEN, SimulatedHelpdesk
from helpdesk_assets.settings import Settings

TICKETS = 60
Run = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _requests_are_as_published(held_requests: None) -> None:
    """Hold every request of an adapter against the vendor's description."""


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=TICKETS, seed=5) as simulator:
        yield simulator


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty directory, and an environment without this project's variables."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # Tables are as wide as the terminal, and tests have none.
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def environment(
    empty_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    simulator: SimulatedHelpdesk,
    warehouse_settings: Settings,
) -> Settings:
    """An environment that names the simulated helpdesk and this test's dataset."""
    for name, value in (
        ("HELPDESK_BASE_URL", simulator.base_url),
        ("HELPDESK_API_TOKEN", DEFAULT_TOKEN),
        ("BIGQUERY_PROJECT", warehouse_settings.bigquery_project),
        ("BIGQUERY_DATASET", warehouse_settings.bigquery_dataset),
        ("BIGQUERY_EMULATOR_HOST", warehouse_settings.bigquery_emulator_host),
    ):
        monkeypatch.setenv(name, value)
    return warehouse_settings


@pytest.fixture
def run() -> Run:
    """Run the command in this process: fast, but Ctrl-C and imports are shared with the tests."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, prog_name="helpdesk-assets")

    return invoke


@pytest.fixture
def command() -> Command:
    """Run the command in a separate process, as users do."""

    def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "helpdesk_assets.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return invoke
