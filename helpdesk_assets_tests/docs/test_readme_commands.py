"""README's shell lines run, in its order, against a simulated helpdesk and the local warehouse."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import Run
from helpdesk_assets_tests.docs.texts import ROOT, shell_lines

LINES = shell_lines((ROOT / "README.md").read_text())
SIMULATOR_URL = "http://127.0.0.1:8420"
# By the beginning of a line: why no test runs it.
NOT_RUN: Mapping[str, str] = {
    "pip install": "asks a package index; `make install` does the same",
    "bq ": "makes a dataset in a real project",
    "gcloud ": "logs a person in",
    "deploy/request-tracker.sh install": "needs root; CI runs it before the tests",
    "export DAGSTER_HOME": "the test of the pool has a folder of its own",
    "mkdir ": "makes that folder in a person's home",
    "cp deploy/dagster.yaml": "fills that folder",
    "dagster dev": "serves until it is stopped; the tests of the daemon start the same",
}
MAKE = [line for line in LINES if line.startswith("make ")]
OURS = [line for line in LINES if line.startswith("helpdesk-assets ")]
CURL = [line for line in LINES if line.startswith("curl ")]
DAGSTER = [line for line in LINES if line.startswith("dagster instance ")]


def test_every_line_runs_or_is_named_with_its_reason() -> None:
    run = {*MAKE, *OURS, *CURL, *DAGSTER}
    others = [line for line in LINES if line not in run]
    assert [line for line in others if not line.startswith(tuple(NOT_RUN))] == []
    assert [begin for begin in NOT_RUN if not any(line.startswith(begin) for line in others)] == []


@pytest.mark.parametrize("line", MAKE)
def test_make_knows_what_to_do(line: str) -> None:
    done = subprocess.run(
        [*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_commands_succeed_in_order(
    environment: Settings, simulator: SimulatedHelpdesk, run: Run
) -> None:
    assert OURS[:2] == ["helpdesk-assets doctor", "helpdesk-assets sync"]
    for line in OURS:
        done = run(*shlex.split(line)[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"


def test_the_simulated_helpdesk_takes_the_change(simulator: SimulatedHelpdesk) -> None:
    (line,) = CURL
    before = {each.ticket_id: each.modified_time for each in simulator.truth()}
    local = line.replace(SIMULATOR_URL, simulator.base_url)
    subprocess.run([*shlex.split(local), "--fail", "--silent"], check=True, capture_output=True)
    after = {each.ticket_id: each.modified_time for each in simulator.truth()}
    assert sum(before[ticket_id] != after[ticket_id] for ticket_id in before) == 5


def test_dagster_takes_the_pool(tmp_path: Path) -> None:
    (line,) = DAGSTER
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
