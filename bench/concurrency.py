"""A full read of 52,000 tickets at 20 ms a call: 8 calls at a time, one at a time, and no sync.

The third is the least that is possible: 8 bare threads fetch the same pages and throw them away.
All in one run, since the machine is noisy; the warehouse's part of a sync, which is the same
whatever the concurrency, is told apart.

    python -m bench.concurrency
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import requests

from bench.environment import embedded_services
from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.settings import load_settings

TICKETS = 52_000
PAGE = 100
SECONDS_A_CALL = 0.02
CONCURRENCY = 8
TIMES_AS_FAST = 5.0
OF_BARE_THREADS = 1.5


def main() -> int:
    with embedded_services(TICKETS) as control:
        pages = _windows(control)
        _fetch(pages)  # the helpdesk writes each ticket once; from here on it only sends
        control.fault("latency", seconds=SECONDS_A_CALL)
        alone = _sync(control, 1)
        together = _sync(control, CONCURRENCY)
        bare = _fetch(pages)
    faster = alone.seconds["fetch"] / together.seconds["fetch"]
    of_bare = together.seconds["fetch"] / bare
    print(f"{CONCURRENCY} bare threads, the same {len(pages)} pages: {bare:6.2f} s")
    print(f"faster than one at a time: {faster:.1f} times, {TIMES_AS_FAST} asked for")
    print(f"of what bare threads take: {of_bare:.2f} times, {OF_BARE_THREADS} allowed")
    return int(faster < TIMES_AS_FAST or of_bare > OF_BARE_THREADS)


def _sync(control: AdminClient, at_once: int) -> SyncReport:
    os.environ["HELPDESK_CONCURRENCY"] = str(at_once)
    settings = load_settings()
    control.reset_counters()
    with open_connections(settings) as parts:
        report = run_sync(
            parts.helpdesk,
            parts.tables,
            SyncRequest(RequestedMode.FULL),
            SyncPolicy.from_settings(settings),
            run_id=f"bench{at_once}",
        )
    fetch = report.seconds["fetch"]
    rest = sum(report.seconds.values()) - fetch
    calls = report.manifest.api.calls
    print(f"{at_once} at a time: {fetch:6.2f} s for {calls} calls, then {rest:.1f} s of warehouse")
    return report


def _windows(control: AdminClient) -> list[str]:
    """The pages of a whole read, as windows of the search."""
    times = sorted(ticket.modified_time for ticket in control.truth())
    edges = [*times[::PAGE], times[-1]]
    text = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in edges]
    return [f"{start},{end}" for start, end in pairwise(text)]


def _fetch(windows: Sequence[str]) -> float:
    settings = load_settings()
    with requests.Session() as session, ThreadPoolExecutor(CONCURRENCY) as pool:
        session.headers["Authorization"] = (
            f"Bearer {settings.helpdesk_api_token.get_secret_value()}"
        )
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONCURRENCY))

        def fetch(window: str) -> int:
            answer = session.get(
                f"{settings.helpdesk_base_url}/v2/tickets/search",
                params={
                    "modifiedTimeRange": window,
                    "sortBy": "modifiedTime",
                    "pageSize": str(PAGE),
                },
                timeout=60,
            )
            answer.raise_for_status()
            return len(answer.content)

        began = time.monotonic()
        list(pool.map(fetch, windows))
        return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
