"""Runs thousands of scenarios in several processes; prints what they did, and each failure.

    python -m helpdesk_assets_tests.chaos.long_run --stories 2000 --processes 2 --out .local/chaos

After each batch, a process writes its counts to the directory, so that they survive when the run is
stopped. The exit code is 1 if a scenario failed.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from helpdesk_assets_tests.chaos.scenario_counts import Counts

BATCH = 25


def main() -> int:
    # Stopping must not leave a warehouse running. An exit would count as a failed scenario.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.part is not None:
        return _run_part(asked.out, asked.part, asked.stories)
    for left in asked.out.glob("part-*"):
        left.unlink()
    began = time.monotonic()
    each = -(-asked.stories // asked.processes)
    parts = [_started(asked.out, number, each) for number in range(asked.processes)]
    try:
        for part in parts:
            part.wait()
    finally:
        for part in parts:
            part.terminate()
            part.wait()
    return _summed(asked.out, time.monotonic() - began, asked.processes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stories", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(".local/chaos"))
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _started(out: Path, number: int, stories: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--part", str(number)]
    return subprocess.Popen([*command, "--stories", str(stories), "--out", str(out)])


def _run_part(out: Path, number: int, stories: int) -> int:
    from helpdesk_assets_tests.chaos.environment import open_environment
    from helpdesk_assets_tests.chaos.scenario_runner import run_scenarios

    # Runs warn about the scenarios' faults, which is expected.
    logging.disable(logging.CRITICAL)
    bad = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        open_environment(Path(directory)) as environment,
    ):
        while (left := stories - environment.counts["stories"]) > 0:
            try:
                run_scenarios(environment, min(BATCH, left))
            except Exception as error:  # noqa: BLE001 - reported, and the other scenarios still run
                bad += 1
                text = "".join(traceback.format_exception(error))
                (out / f"part-{number}-bad-{bad}.txt").write_text(text)
                sys.stdout.write(text)
                sys.stdout.flush()
            environment.counts["stories that ended badly"] = bad
            (out / f"part-{number}.json").write_text(environment.counts.to_json())
    return min(bad, 1)


def _summed(out: Path, seconds: float, processes: int) -> int:
    total = Counts.sum_of(path.read_text() for path in sorted(out.glob("part-*.json")))
    summary = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds / 60:.0f} minutes, {processes} processes"
    )
    (out / "result.json").write_text(total.to_json())
    (out / "result.md").write_text(f"{summary}\n\n{total.to_markdown()}\n")
    sys.stdout.write(f"{summary}\n\n{total.to_markdown()}\n")
    return 1 if total["stories that ended badly"] or not total["stories"] else 0


if __name__ == "__main__":
    sys.exit(main())
