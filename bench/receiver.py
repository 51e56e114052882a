"""How many webhooks a second are durable, and how long one takes to be answered with 2xx.

The receiver is a process of its own in front of the embedded warehouse; the senders post whole
tickets, each the next when the one before is answered. What it is compared with, in the same run,
is a function that does one MERGE per event: tickets alone, straight into the warehouse, no HTTP.
Both in turn, several times, so that the ratio holds on a noisy machine.

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
from helpdesk_assets.providers.parsing.tickets import FieldMap, TicketReader, tombstone
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.store import DeliveryStore
from helpdesk_assets.settings import load_settings
from helpdesk_assets.warehouse.bigquery.connection import connect

TICKETS = 2_000
FEW, MANY = (1, 16), 64
SECONDS = 15.0
ROUNDS = 3
SECRET = "of-this-measurement-alone"  # noqa: S105
TIMES_AS_MANY = 20.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Events a second, and the seconds to 2xx of each."""

    rate: float
    took: list[float]

    def __str__(self) -> str:
        took = sorted(self.took)
        p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
        median = statistics.median(took)
        return (
            f"{self.rate:7.1f} events/s, p50 {median:5.2f} s, p99 {p99:5.2f} s, {len(took)} events"
        )


def main() -> int:
    ratios = []
    with embedded_services(TICKETS) as control, _receiver() as url:
        raw_ticket = list(_whole(control))
        for senders in FEW:
            print(f"receiver, {senders:2} senders: {_send(url, raw_ticket, senders)}", flush=True)
        for _ in range(ROUNDS):
            alone, many = _one_merge_each(raw_ticket), _send(url, raw_ticket, MANY)
            ratios.append(many.rate / alone.rate)
            print(f"one MERGE per event:  {alone}")
            print(f"receiver, {MANY} senders: {many}", flush=True)
    ratio = statistics.median(ratios)
    print(f"{MANY} senders: median {ratio:.0f} times as many, {TIMES_AS_MANY:.0f} asked for")
    return int(ratio < TIMES_AS_MANY)


def _whole(control: AdminClient) -> Iterator[Json]:
    for ticket in control.truth(raw_ticket=True):
        assert ticket.raw_ticket is not None
        yield ticket.raw_ticket


def _one_merge_each(raw_ticket: list[Json]) -> Measured:
    reader = TicketReader(FieldMap(), skip_bad=False)
    took: list[float] = []
    with closing(connect(load_settings())) as warehouse:
        store = DeliveryStore(warehouse)
        # The table is made before the clock starts.
        store.write_tickets([_delivery(tombstone("warm", datetime.now(UTC), {}))], "warm")
        began = time.monotonic()
        while time.monotonic() < began + SECONDS:
            ticket = reader.ticket(raw_ticket[len(took) % len(raw_ticket)], "")
            assert isinstance(ticket, Ticket)
            before = time.monotonic()
            store.write_tickets([_delivery(ticket)], uuid.uuid4().hex)
            took.append(time.monotonic() - before)
        return Measured(len(took) / (time.monotonic() - began), took)


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


def _send(url: str, raw_ticket: list[Json], senders: int) -> Measured:
    began = time.monotonic()
    until = began + SECONDS
    took: list[float] = []
    threads = [
        threading.Thread(target=_sender, args=(url, raw_ticket[number::senders], until, took))
        for number in range(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measured(len(took) / (time.monotonic() - began), took)


def _sender(url: str, raw_ticket: list[Json], until: float, took: list[float]) -> None:
    """`http.client`, since a heavier one would be what is measured."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    number = 0
    while time.monotonic() < until:
        body, headers = _signed(raw_ticket[number % len(raw_ticket)])
        number += 1
        before = time.monotonic()
        connection.request("POST", "/webhooks/rest", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"answered with {answer.status}: {said.decode()}")
        took.append(time.monotonic() - before)
    connection.close()


def _signed(ticket: Json) -> tuple[bytes, dict[str, str]]:
    """Each time a newer version, so that every MERGE has something to write."""
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
