"""Measures how long a webhook waits for its 2xx, at steady rates and as fast as it goes.

The receiver runs as a process in front of the local warehouse, and posts carry raw tickets. At a
steady rate, posts do not wait for the answers to those before, as a vendor's do not. Then many
senders post as fast as they are answered.

    python -m bench.receiver
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bench.environment import embedded_services
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.local.simulator.webhook_sender import sign

TICKETS = 2_000
# Events a second, each for so many seconds.
RATES = ((0.1, 60.0), (1.0, 30.0), (10.0, 30.0), (100.0, 30.0))
MANY_SENDERS = 64
# The receiver closes connections that are idle for seconds.
KEPT_OPEN_FROM = 50.0
SECONDS = 15.0
SECRET = "only-for-this-benchmark"  # noqa: S105
# Of a steady rate: 95 of 100 answers, and the last one. The least patient vendor waits five.
MOST_SECONDS_P95, MOST_SECONDS = 1.0, 4.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Events per second, and the seconds until 2xx of each event, in order."""

    rate: float
    latencies: list[float]

    @property
    def p95(self) -> float:
        """Most of the answers took no longer."""
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * 95 // 100)]

    @property
    def is_in_time(self) -> bool:
        """Whether no vendor would have given up."""
        return self.p95 < MOST_SECONDS_P95 and self.latencies[-1] < MOST_SECONDS

    def __str__(self) -> str:
        return (
            f"{self.rate:7.1f} events/s, p50 {statistics.median(self.latencies):5.3f} s, "
            f"p95 {self.p95:5.3f} s, longest {self.latencies[-1]:5.3f} s, "
            f"{len(self.latencies)} events"
        )


def main() -> int:
    """Print the measurements; returns 1 if a steady rate was answered too late."""
    in_time = True
    with embedded_services(TICKETS) as admin_client, _receiver() as url:
        raw_tickets = list(_raw_tickets(admin_client))
        _send(url, raw_tickets[:1], 1, seconds=0.1)  # makes the table, which is not measured
        for rate, seconds in RATES:
            measured = _steady(url, raw_tickets, rate, seconds)
            in_time = in_time and measured.is_in_time
            print(f"steady:     {measured}", flush=True)
        print(f"{MANY_SENDERS} senders: {_send(url, raw_tickets, MANY_SENDERS, SECONDS)}")
    return int(not in_time)


def _raw_tickets(admin_client: AdminClient) -> Iterator[Json]:
    for ticket in admin_client.truth(raw_ticket=True):
        assert ticket.raw_ticket is not None
        yield ticket.raw_ticket


@contextmanager
def _receiver() -> Iterator[str]:
    command = [sys.executable, "-m", "helpdesk_assets.cli", "webhooks", "--port", "0"]
    environment = {**os.environ, "WEBHOOK_SECRETS": SECRET}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://[0-9.:]+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.terminate()
        process.communicate()


def _steady(url: str, raw_tickets: list[Json], rate: float, seconds: float) -> Measurement:
    """Post at a rate; an answer counts from when its post was due."""
    started = time.monotonic()
    own = threading.local()

    def post(number: int) -> float:
        due = started + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        if rate < KEPT_OPEN_FROM or not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        _post(own.connection, raw_tickets[number % len(raw_tickets)])
        return time.monotonic() - due

    with ThreadPoolExecutor(MANY_SENDERS) as threads:
        latencies = sorted(threads.map(post, range(max(1, int(rate * seconds)))))
    return Measurement(rate, latencies)


def _send(url: str, raw_tickets: list[Json], senders: int, seconds: float) -> Measurement:
    """Post one after the answer to the one before, by several senders."""
    started = time.monotonic()
    until = started + seconds
    latencies: list[float] = []
    threads = [
        threading.Thread(target=_sender, args=(url, raw_tickets[number::senders], until, latencies))
        for number in range(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measurement(len(latencies) / (time.monotonic() - started), sorted(latencies))


def _sender(url: str, raw_tickets: list[Json], until: float, latencies: list[float]) -> None:
    """Post webhooks until a time, by `http.client`: a slower client would dominate the results."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    number = 0
    while not number or time.monotonic() < until:
        before = time.monotonic()
        _post(connection, raw_tickets[number % len(raw_tickets)])
        number += 1
        latencies.append(time.monotonic() - before)
    connection.close()


def _post(connection: http.client.HTTPConnection, ticket: Json) -> None:
    body, headers = _signed(ticket)
    connection.request("POST", "/webhooks/rest", body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise SystemExit(f"The receiver answered with {answer.status}: {text}")


def _signed(ticket: Json) -> tuple[bytes, dict[str, str]]:
    """Return a signed webhook with a new modified time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    event = {
        "id": uuid.uuid4().hex,
        "type": "ticket.updated",
        "ticketId": ticket["id"],
        "ticket": {**ticket, "modifiedTime": now},
    }
    body = json.dumps(event).encode()
    return body, sign(event["id"], body, SECRET)


if __name__ == "__main__":
    sys.exit(main())
