"""A Dagster daemon on SQLite, as `make dev` starts it, that runs the alert sensor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from helpdesk_assets.defs.alerts.sensor import SENSOR_NAME

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180


def make_home(parent: Path) -> Path:
    """Create a DAGSTER_HOME as `make dev` does."""
    home = parent / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "deploy" / "dagster.yaml", home / "dagster.yaml")
    return home


@contextmanager
def daemon(home: Path, log: Path, *modules: str) -> Iterator[None]:
    """Run a daemon with these code locations, by default the unscheduled definitions."""
    loaded = modules or ("helpdesk_assets_tests.defs.unscheduled_definitions",)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dagster._daemon", "run"),
                *(argument for module in loaded for argument in ("-m", module)),
            ],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(what: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, log.read_text()[-5000:]
        time.sleep(0.1)


def ticks(instance: dg.DagsterInstance) -> int:
    """Return the number of saved ticks of the sensor."""
    sensors = [s for s in instance.all_instigator_state() if s.instigator_name == SENSOR_NAME]
    found = [instance.get_ticks(s.instigator_origin_id, s.selector_id) for s in sensors]
    return sum(tick.is_completed for ticks in found for tick in ticks)
