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
def embedded_services(tickets: int, age: timedelta = timedelta(hours=1)) -> Iterator[AdminClient]:
    """Start a simulated helpdesk and a local warehouse, and set the environment to use them.

    The helpdesk's clock is behind by `age`, which is how far it can be advanced.
    """
    with start_environment(tickets, datetime.now(UTC) - age) as environment:
        yield environment.admin_client


def run(command: Sequence[str]) -> ProcessUsage:
    """Run a command to its end and return its usage, without that of other processes."""
    started = time.monotonic()
    environment = dict(os.environ)
    # Installed packages are compiled once, and so are ours then.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = errors.decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}: {end}")
    return ProcessUsage(
        time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )
