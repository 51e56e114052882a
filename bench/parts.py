"""What the measurements share: the embedded parts, and one timed process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from helpdesk_assets.embedded import EmbeddedWarehouse
from helpdesk_assets.simulator.control import Control
from helpdesk_assets_tests.processes import simulator_process

SYNC = (sys.executable, "-m", "helpdesk_assets.cli", "sync", "--json")


@dataclass(frozen=True, slots=True)
class Ran:
    """One finished process: wall seconds, processor seconds, peak memory in MiB."""

    wall: float
    cpu: float
    peak_mib: float


@contextmanager
def embedded_parts(tickets: int) -> Iterator[tuple[Mapping[str, str], Control]]:
    """A simulated helpdesk and a local warehouse; gives the environment that points at both."""
    with (
        TemporaryDirectory() as folder,
        EmbeddedWarehouse(Path(folder)) as warehouse,
        simulator_process(tickets=tickets) as helpdesk,
    ):
        environment = {
            **os.environ,
            "HELPDESK_BASE_URL": helpdesk.base_url,
            "HELPDESK_API_TOKEN": helpdesk.token,
            "BIGQUERY_PROJECT": "bench",
            "BIGQUERY_EMULATOR_HOST": warehouse.endpoint,
        }
        yield environment, helpdesk.control


def run(command: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """Run to the end and account for that process alone."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Ran(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
