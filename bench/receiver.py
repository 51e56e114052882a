"""Measures how many webhooks per second the receiver stores, and how long each takes until 2xx.

The receiver runs as a process in front of the local warehouse. Each sender posts webhooks with raw
tickets, one after the answer to the one before. The baseline is a function that does one MERGE per
event: only tickets, directly into the warehouse, without HTTP. Both run alternately, several times,
so that the ratio is valid on a noisy machine.

    python -m bench.receiver
"""

from __future__ import annotations

import hmac
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
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bench.environment import embedded_services
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.store import DeliveryStore
from helpdesk_assets.settings import load_settings
from helpdesk_assets.warehouse.bigquery.connection import connect

TICKETS = 2_000
FEW_SENDERS, MANY_SENDERS = (1, 16), 64
SECONDS = 15.0
ROUNDS = 3
SECRET = "only-for-this-benchmark"  # noqa: S105
MIN_RATIO = 20.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Events per second, and the seconds until 2xx of each event."""

    rate: float
    latencies: list[float]

    def __str__(self) -> str:
        latencies = sorted(self.latencies)
        count = len(latencies)
        p99 = latencies[min(count - 1, count * 99 // 100)]
        median = statistics.median(latencies)
        return f"{self.rate:7.1f} events/s, p50 {median:5.2f} s, p99 {p99:5.2f} s, {count} events"


def main() -> int:
    """Print the measurements; returns 1 if the ratio is below the limit."""
    ratios = []
    with embedded_services(TICKETS) as admin_client, _receiver() as url:
        raw_tickets = list(_raw_tickets(admin_client))
        for senders in FEW_SENDERS:
            print(f"receiver, {senders:2} senders: {_send(url, raw_tickets, senders)}", flush=True)
        for _ in range(ROUNDS):
            baseline = _one_merge_per_event(raw_tickets)
            many = _send(url, raw_tickets, MANY_SENDERS)
            ratios.append(many.rate / baseline.rate)
            print(f"one MERGE per event:  {baseline}")
            print(f"receiver, {MANY_SENDERS} senders: {many}", flush=True)
    ratio = statistics.median(ratios)
    print(f"ratio with {MANY_SENDERS} senders: median {ratio:.0f}, at least {MIN_RATIO:.0f}")
    return int(ratio < MIN_RATIO)


def _raw_tickets(admin_client: AdminClient) -> Iterator[Json]:
    for ticket in admin_client.truth(raw_ticket=True):
        assert ticket.raw_ticket is not None
        yield ticket.raw_ticket


def _one_merge_per_event(raw_tickets: list[Json]) -> Measurement:
    reader = TicketReader(FieldMap(), skip_bad=False)
    latencies: list[float] = []
    with closing(connect(load_settings())) as warehouse:
        store = DeliveryStore(warehouse)
        # This write creates the table, which is not measured.
        store.write_tickets([_delivery(tombstone("warm", datetime.now(UTC), {}))], "warm")
        started = time.monotonic()
        while time.monotonic() < started + SECONDS:
            ticket = reader.ticket(raw_tickets[len(latencies) % len(raw_tickets)], "")
            assert isinstance(ticket, Ticket)
            before = time.monotonic()
            store.write_tickets([_delivery(ticket)], uuid.uuid4().hex)
            latencies.append(time.monotonic() - before)
        return Measurement(len(latencies) / (time.monotonic() - started), latencies)


def _delivery(ticket: Ticket) -> Delivery:
    return Delivery(uuid.uuid4().hex, "ticket.updated", "rest", datetime.now(UTC), ticket)


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


def _send(url: str, raw_tickets: list[Json], senders: int) -> Measurement:
    started = time.monotonic()
    until = started + SECONDS
    latencies: list[float] = []
    threads = [
        threading.Thread(target=_sender, args=(url, raw_tickets[number::senders], until, latencies))
        for number in range(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measurement(len(latencies) / (time.monotonic() - started), latencies)


def _sender(url: str, raw_tickets: list[Json], until: float, latencies: list[float]) -> None:
    """Post webhooks until a time, by `http.client`: a slower client would dominate the results."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    number = 0
    while time.monotonic() < until:
        body, headers = _signed(raw_tickets[number % len(raw_tickets)])
        number += 1
        before = time.monotonic()
        connection.request("POST", "/webhooks/rest", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"The receiver answered with {answer.status}: {text}")
        latencies.append(time.monotonic() - before)
    connection.close()


def _signed(ticket: Json) -> tuple[bytes, dict[str, str]]:
    """Return a signed webhook with a new modified time, so that every MERGE writes something."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    event = {
        "id": uuid.uuid4().hex,
        "type": "ticket.updated",
        "ticketId": ticket["id"],
        "ticket": {**ticket, "modifiedTime": now},
    }
    body, stamp = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(SECRET.encode(), stamp.encode() + body, "sha256").hexdigest()
    return body, {"X-Helpdesk-Timestamp": stamp, "X-Helpdesk-Signature": signature}


if __name__ == "__main__":
    sys.exit(main())
