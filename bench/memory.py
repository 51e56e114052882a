"""Compares peak memory of a full sync of 10,000 and of 200,000 tickets, which must not grow.

python -m bench.memory
"""

from __future__ import annotations

import sys

from bench.environment import SYNC, embedded_services, run

FEW, MANY = 10_000, 200_000
MAX_GROWTH_MIB = 100


def main() -> int:
    """Print the peaks; returns 1 if memory grows by more than the limit."""
    peaks = {}
    for tickets in (FEW, MANY):
        with embedded_services(tickets):
            sync = run([*SYNC, "--full"])
        peaks[tickets] = sync.peak_mib
        print(
            f"{tickets:>8,} tickets: peak {sync.peak_mib:6.0f} MiB, {sync.wall:6.1f} s", flush=True
        )
    growth = peaks[MANY] - peaks[FEW]
    print(f"growth: {growth:.0f} MiB, at most {MAX_GROWTH_MIB}")
    return int(growth > MAX_GROWTH_MIB)


if __name__ == "__main__":
    sys.exit(main())
