"""Compares a sync with the least that is possible, an older algorithm, and dlt, in one run.

All use the same simulated helpdesk, at 20 ms a call, and the same local warehouse, as processes one
after the other. Judge ratios and CPU seconds: walls are valid on a quiet machine only.

    python -m bench.side_by_side --tickets 10000 52000 --rounds 1 --dlt
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench import dlt_environment
from bench import environment as env
from bench.concurrency import page_windows
from bench.measured import (
    AGAIN,
    CHANGED,
    DLT,
    FLOOR,
    FULL,
    OLDER,
    SYNC,
    Cells,
    Measured,
    goals,
    middle,
    show,
)  # fmt: skip
from helpdesk_assets.local.simulator.admin_client import AdminClient

SECONDS_PER_CALL = 0.02
CHANGES, EVERY = 50, timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Program:
    """What is measured, and whether it can bring an older table up to date."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]
    is_incremental: bool = True

    def run(self) -> Measured:
        """Run it once, to its end."""
        cpu, jobs = env.warehouse_cpu(), env.warehouse_jobs()
        usage = env.run(self.command, self.variables)
        return Measured(usage, env.warehouse_cpu() - cpu, env.warehouse_jobs() - jobs)


def main() -> int:
    """Print the measurements; returns 1 if a goal is missed."""
    options = _options()
    dlt = dlt_environment.install() if options.dlt else None
    found: dict[int, Cells] = {}
    for tickets in options.tickets:
        print(f"{tickets:,} tickets, {SECONDS_PER_CALL * 1000:.0f} ms a call", flush=True)
        rounds = [_round(tickets, dlt) for _ in range(options.rounds)]
        found[tickets] = middle(rounds)
        show(found[tickets])
    judged = goals(found)
    print("\n".join(map(str, judged)))
    return int(any(goal.is_missed for goal in judged))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickets", type=int, nargs="+", default=[10_000, 52_000])
    parser.add_argument("--rounds", type=int, default=1, help="the one in the middle counts")
    parser.add_argument("--dlt", action="store_true", help="install dlt and measure it as well")
    return parser.parse_args()


def _round(tickets: int, dlt: Path | None) -> Cells:
    """Measure everything once, with helpdesk and warehouse started for it."""
    with (
        env.embedded_services(tickets, age=3 * EVERY) as admin_client,
        tempfile.TemporaryDirectory() as folder,
    ):
        admin_client.send_webhooks(url="")
        windows = Path(folder) / "windows.json"
        windows.write_text(json.dumps(page_windows(admin_client)), encoding="utf-8")
        programs = list(_programs(windows, dlt, Path(folder)))
        # Fills the helpdesk's cache, so that it makes no tickets while one is measured.
        programs[0].run()
        admin_client.fault("latency", seconds=SECONDS_PER_CALL)
        return dict(_measure(programs, admin_client))


def _programs(windows: Path, dlt: Path | None, folder: Path) -> Iterator[Program]:
    def module(name: str) -> Sequence[str]:
        return (sys.executable, "-m", f"bench.peers.{name}")

    root = {"PYTHONPATH": str(Path(__file__).parents[1])}
    floor = (*module("floor"), str(windows))
    yield Program(FLOOR, floor, {**root, "BIGQUERY_DATASET": "floor"}, is_incremental=False)
    yield Program(SYNC, env.SYNC, {**root, "BIGQUERY_DATASET": "helpdesk"})
    yield Program(OLDER, module("older_algorithm"), {**root, "BIGQUERY_DATASET": "older"})
    if dlt is not None:
        pipeline = Path(__file__).parent / "peers" / "dlt_pipeline.py"
        variables = {
            "BIGQUERY_DATASET": "dlt",
            "DLT_PIPELINES": str(folder / "dlt"),
            "DLT_TELEMETRY": "0",
        }
        yield Program(DLT, (str(dlt), str(pipeline)), variables)


def _measure(
    programs: Sequence[Program], admin_client: AdminClient
) -> Iterator[tuple[tuple[str, str], Measured]]:
    tasks: Sequence[tuple[str, Callable[[], object]]] = (
        (FULL, lambda: None),
        (CHANGED, lambda: admin_client.change(CHANGES, spread_seconds=EVERY.total_seconds())),
        (AGAIN, lambda: None),
    )
    for task, prepare in tasks:
        prepare()
        for program in programs:
            if task == FULL or program.is_incremental:
                yield (program.name, task), program.run()


if __name__ == "__main__":
    sys.exit(main())
