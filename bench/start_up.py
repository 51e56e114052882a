"""Compares the sync's job in Dagster with a job of four empty assets, and shows the command beside.

All run as processes, in turn, so that the ratio is valid on a noisy machine. The CPU time is that
of the processes alone, without the local warehouse.

    python -m bench.start_up
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from bench.environment import SYNC, ProcessUsage, embedded_services, run

EMPTY, JOB, COMMAND = "four empty assets", "helpdesk_sync", "helpdesk-assets sync"
ROUNDS = 5
TICKETS = 10_000
# What a schedule finds: changes that are spread over the time since the last run.
CHANGES, EVERY = 50, timedelta(hours=2)
MAX_RATIO = 1.4
MAX_COMMAND_CPU = 0.5
EMPTY_JOB = """
import dagster as dg
def empty(name, after):
    @dg.asset(name=name, deps=after)
    def made() -> None: ...
    return made
assets = []
for name in "abcd":
    assets.append(empty(name, assets[-1:]))
defs = dg.Definitions(
    assets=assets, jobs=[dg.define_asset_job("empty")], executor=dg.in_process_executor
)
"""


def main() -> int:
    """Print the medians; returns 1 if one exceeds its limit."""
    with (
        embedded_services(TICKETS, age=2 * EVERY * ROUNDS) as admin_client,
        tempfile.TemporaryDirectory() as home,
    ):
        admin_client.send_webhooks(url="")
        os.environ["DAGSTER_HOME"] = home
        empty_file = Path(home) / "empty_job.py"
        empty_file.write_text(EMPTY_JOB, encoding="utf-8")
        commands = {
            EMPTY: _job("-f", str(empty_file), "-j", "empty"),
            JOB: _job("-m", "helpdesk_assets.definitions", "-j", "helpdesk_sync"),
            COMMAND: SYNC,
        }
        for command in commands.values():  # the first load, and what Dagster stores once
            run(command)
        usages: dict[str, list[ProcessUsage]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                if name != EMPTY:
                    admin_client.change(CHANGES, spread_seconds=EVERY.total_seconds())
                usages[name].append(run(command))
    for name, of_it in usages.items():
        print(
            f"{name:22} {_median(u.wall for u in of_it):5.2f} s, "
            f"{_median(u.cpu for u in of_it):5.2f} s of CPU time, "
            f"{max(u.peak_mib for u in of_it):4.0f} MiB"
        )
    ratio = _median(
        job.cpu / empty.cpu for job, empty in zip(usages[JOB], usages[EMPTY], strict=True)
    )
    # The least, since other programs make each of them longer.
    command_cpu = min(usage.cpu for usage in usages[COMMAND])
    print(f"{JOB} / {EMPTY}, CPU time: {ratio:.2f}, at most {MAX_RATIO}")
    print(f"{COMMAND}: {command_cpu:.2f} s of CPU time, at most {MAX_COMMAND_CPU}")
    return int(ratio > MAX_RATIO or command_cpu > MAX_COMMAND_CPU)


def _job(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "dagster", "job", "execute", *arguments)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
