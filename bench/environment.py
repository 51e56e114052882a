"""Shared by the benchmarks: the stand-ins, and a measured process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.local.demo.environment import start_environment
from helpdesk_assets.local.simulator.admin_client import AdminClient

SYNC = (sys.executable, "-m", "helpdesk_assets.cli", "sync", "--json")


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Usage of a finished process: wall seconds, CPU seconds, peak memory in MiB."""

    wall: float
    cpu: float
    peak_mib: float


@contextmanager
def embedded_services(tickets: int) -> Iterator[AdminClient]:
    """Start a simulated helpdesk and a local warehouse, and set the environment to use them."""
    with start_environment(tickets, datetime.now(UTC) - timedelta(hours=1)) as environment:
        yield environment.admin_client


def run(command: Sequence[str]) -> ProcessUsage:
    """Run a command to its end and return its usage, without that of other processes."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return ProcessUsage(
        time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )
