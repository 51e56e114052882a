"""Shared by the benchmarks: the stand-ins, and a measured process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

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


def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> ProcessUsage:
    """Run a command to its end and return its usage, without that of other processes."""
    environment = {**os.environ, **(variables or {})}
    # Installed packages are compiled once, and so are ours then.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            end = errors.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)} failed with {process.returncode}: {end}")
        return ProcessUsage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def warehouse_cpu() -> float:
    """Return the CPU seconds that this process's local warehouse has used so far (Linux)."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = b"local.bqemulator" in (folder / "cmdline").read_bytes()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if is_ours and int(fields[1]) == os.getpid():
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def warehouse_jobs() -> Counter[str]:
    """Return how many jobs the local warehouse has run, by kind (`query`, `load`, `copy`)."""
    url = os.environ["BIGQUERY_EMULATOR_HOST"]
    url += f"/bigquery/v2/projects/{os.environ['BIGQUERY_PROJECT']}/jobs"
    kinds: Counter[str] = Counter()
    page: dict[str, str] = {"projection": "full", "allUsers": "true"}
    while True:
        answer = requests.get(url, params=page, timeout=60)
        answer.raise_for_status()
        found = answer.json()
        for job in found.get("jobs", ()):
            kinds.update(job["configuration"].keys() & {"query", "load", "copy"})
        if not found.get("nextPageToken"):
            return kinds
        page["pageToken"] = found["nextPageToken"]
