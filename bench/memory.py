"""Peak memory of a full sync must not grow with the number of tickets.

python -m bench.memory            # 10,000 against 200,000 tickets
"""

from __future__ import annotations

import sys

from bench.environment import SYNC, embedded_services, run

FEW, MANY = 10_000, 200_000
ALLOWED_MIB = 100


def main() -> int:
    peaks = {}
    for tickets in (FEW, MANY):
        with embedded_services(tickets):
            ran = run([*SYNC, "--full"])
        peaks[tickets] = ran.peak_mib
        print(f"{tickets:>8,} tickets: peak {ran.peak_mib:6.0f} MiB, {ran.wall:6.1f} s", flush=True)
    grown = peaks[MANY] - peaks[FEW]
    print(f"grown by {grown:.0f} MiB, {ALLOWED_MIB} allowed")
    return int(grown > ALLOWED_MIB)


if __name__ == "__main__":
    sys.exit(main())
