"""Measures a full read of 52,000 tickets at 20 ms per call, with 8 concurrent calls and with one.

The lower bound is 8 bare threads that fetch the same pages and discard them. All three run in one
process, since the machine is noisy. The warehouse's part of a sync does not depend on concurrency
and is printed separately.

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
SECONDS_PER_CALL = 0.02
CONCURRENCY = 8
MIN_SPEEDUP = 5.0
MAX_BARE_RATIO = 1.5


def main() -> int:
    """Print the measurements; returns 1 if a limit is exceeded."""
    with embedded_services(TICKETS) as admin_client:
        pages = page_windows(admin_client)
        _fetch(pages)  # fills the helpdesk's cache, so that it generates no tickets while measured
        admin_client.fault("latency", seconds=SECONDS_PER_CALL)
        sequential = _sync(admin_client, 1)
        concurrent = _sync(admin_client, CONCURRENCY)
        bare = _fetch(pages)
    speedup = sequential.seconds["fetch"] / concurrent.seconds["fetch"]
    bare_ratio = concurrent.seconds["fetch"] / bare
    print(f"{CONCURRENCY} bare threads, the same {len(pages)} pages: {bare:6.2f} s")
    print(f"speedup over one call at a time: {speedup:.1f}, at least {MIN_SPEEDUP}")
    print(f"time relative to bare threads: {bare_ratio:.2f}, at most {MAX_BARE_RATIO}")
    return int(speedup < MIN_SPEEDUP or bare_ratio > MAX_BARE_RATIO)


def _sync(admin_client: AdminClient, concurrency: int) -> SyncReport:
    os.environ["HELPDESK_CONCURRENCY"] = str(concurrency)
    settings = load_settings()
    admin_client.reset_counters()
    with open_connections(settings) as parts:
        report = run_sync(
            parts.helpdesk,
            parts.tables,
            SyncRequest(RequestedMode.FULL),
            SyncPolicy.from_settings(settings),
            run_id=f"bench{concurrency}",
        )
    fetch = report.seconds["fetch"]
    rest = sum(report.seconds.values()) - fetch
    calls = report.manifest.api.calls
    print(
        f"{concurrency} concurrent calls: {fetch:6.2f} s for {calls} calls, then {rest:.1f} s for "
        "the warehouse"
    )
    return report


def page_windows(admin_client: AdminClient) -> list[str]:
    """Return the pages of a full read as windows of the search."""
    times = sorted(ticket.modified_time for ticket in admin_client.truth())
    edges = [*times[::PAGE], times[-1]]
    text = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in edges]
    return [f"{start},{end}" for start, end in pairwise(text)]


def _fetch(windows: Sequence[str]) -> float:
    """Fetch the windows with bare threads; returns the seconds."""
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

        started = time.monotonic()
        list(pool.map(fetch, windows))
        return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
