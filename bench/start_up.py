"""Compares an incremental `helpdesk-assets sync` with a Dagster job of four empty assets.

Both run as processes, alternately, so that the ratio is valid on a noisy machine.

    python -m bench.start_up
"""

from __future__ import annotations

import statistics
import sys

from bench.environment import SYNC, embedded_services, run

ROUNDS = 5
MAX_RATIO = 2.0
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
with dg.DagsterInstance.ephemeral() as instance:
    assert defs.resolve_job_def("empty").execute_in_process(instance=instance).success
"""


def main() -> int:
    """Print the medians; returns 1 if the ratio exceeds the limit."""
    ratios, sync_seconds, empty_seconds = [], [], []
    with embedded_services(5_000) as admin_client:
        run(SYNC)
        for _ in range(ROUNDS):
            admin_client.change(count=40)
            sync = run(SYNC)
            empty = run([sys.executable, "-c", EMPTY_JOB])
            sync_seconds.append(sync.wall)
            empty_seconds.append(empty.wall)
            ratios.append(sync.wall / empty.wall)
    print(f"helpdesk-assets sync:      median {statistics.median(sync_seconds):5.2f} s")
    print(f"four empty Dagster assets: median {statistics.median(empty_seconds):5.2f} s")
    ratio = statistics.median(ratios)
    print(f"ratio: median {ratio:.2f}, at most {MAX_RATIO}")
    return int(ratio > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
