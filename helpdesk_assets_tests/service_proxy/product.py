"""The product behind the proxy: a helpdesk, its tables, and runs that meet the service's latency.

Waits of the client take no time; the service's own time jumps when everybody waits for it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.drain import DrainPolicy, DrainReport, drain
from helpdesk_assets.operations.reconcile import ReconcilePolicy, reconcile
from helpdesk_assets.operations.repair import repair_tickets
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.chaos.instant_sleep import instant_sleep, quick_waits
from helpdesk_assets_tests.chaos.killable_run import runtime_of
from helpdesk_assets_tests.chaos.webhook_client import WebhookClient
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.service_proxy.clocks import JumpingClock
from helpdesk_assets_tests.service_proxy.durations import lognormal
from helpdesk_assets_tests.service_proxy.engine import Price
from helpdesk_assets_tests.service_proxy.jobs import Job
from helpdesk_assets_tests.service_proxy.keys import KEYS
from helpdesk_assets_tests.service_proxy.proxy import ServiceProxy

SEED = 13
SECRET = SecretStr("a-secret-of-more-than-sixteen")


@dataclass(frozen=True, slots=True)
class Product:
    """What runs, and what is looked at; `direct` reads the tables past the proxy."""

    simulator: SimulatedHelpdesk
    settings: Settings
    proxy: ServiceProxy
    clock: JumpingClock
    direct: BigQueryClient

    def sync(self, mode: RequestedMode = RequestedMode.AUTO) -> SyncReport:
        with self._opened() as (helpdesk, found):
            policy = SyncPolicy.from_settings(self.settings)
            return run_sync(
                helpdesk,
                found,
                SyncRequest(mode),
                policy,
                run_id=uuid.uuid4().hex,
                now=self._now,
            )

    def repair(self, ids: Sequence[str]) -> object:
        with self._opened() as (helpdesk, found):
            return repair_tickets(
                helpdesk,
                found,
                ids,
                run_id=uuid.uuid4().hex,
                webhooks=self.settings.webhooks,
                listing_delay=self.settings.listing_delay,
            )

    def reconcile(self) -> object:
        with self._opened() as (helpdesk, found):
            policy = ReconcilePolicy.from_settings(self.settings, dry_run=False)
            return reconcile(helpdesk, found, policy, run_id=uuid.uuid4().hex)

    def backfill(self, back: timedelta = timedelta(days=30)) -> object:
        now = self.simulator.clock().now
        with self._opened() as (helpdesk, found):
            policy = SyncPolicy.from_settings(self.settings)
            return backfill(
                helpdesk, found, now - back, now, policy, run_id=uuid.uuid4().hex, now=lambda: now
            )

    def drain(self) -> DrainReport:
        with self._opened() as (helpdesk, found):
            policy = DrainPolicy.from_settings(self.settings)
            now = self._now
            return drain(
                helpdesk, found, run_id=uuid.uuid4().hex, everything=True, policy=policy, now=now
            )

    def receive(self, tickets: Sequence[TrueTicket]) -> None:
        """Post a webhook about each to a receiver of its own, which brings the ticket."""
        with WebhookClient(self.settings, self._now) as receiver:
            statuses = receiver.post([event_of(ticket) for ticket in tickets])
        assert set(statuses) == {200}

    def _now(self) -> datetime:
        return self.simulator.clock().now

    def doubled(self) -> dict[str, int]:
        """Return how many keys ever had several rows, by table, without those that had none."""
        self.proxy.finish()
        return dict(self.proxy.key_watch.most)

    def missing(self) -> set[str]:
        """Return the tickets of the helpdesk that the table lacks."""
        self.proxy.finish()
        stored = {row["ticket_id"] for row in self.direct.list_rows(tables.TICKETS.name)}
        return {ticket.ticket_id for ticket in self.simulator.truth()} - stored

    def jobs_on(self, table: str) -> list[Job]:
        """Return the jobs that were to change a table, in order."""
        jobs = self.proxy.engine.jobs.values()
        return [job for job in jobs if job.dml is not None and job.dml.target.table == table]

    @contextmanager
    def _opened(self) -> Iterator[tuple[Helpdesk, SyncTables]]:
        """Open what a run needs; while it waits, the service's time goes on."""

        def sleep(seconds: float) -> None:
            self.clock.jump(self.clock.now() + seconds)

        runtime = runtime_of(self.simulator, timedelta)
        with (
            closing(connect(self.settings, sleep=sleep, rng=lambda: 0.5)) as warehouse,
            closing(make_helpdesk(self.settings, runtime)) as helpdesk,
        ):
            yield (
                helpdesk,
                SyncTables.from_settings(warehouse, self.settings, clocks=quick_waits(self.clock)),
            )


@contextmanager
def open_product(
    endpoint: str,
    tickets: int,
    *,
    start: datetime | None = None,
    price: Price | None = None,
    **changed: Any,
) -> Iterator[Product]:
    """Open a helpdesk and an empty dataset.

    Args:
        endpoint: the stand-in.
        tickets: how many there are.
        start: the helpdesk's time.
        price: what a statement bills.
        **changed: settings.
    """
    clock = JumpingClock()
    durations: Callable[[str], float] = lognormal(random.Random(SEED))
    with (
        instant_sleep(),
        fresh_dataset(endpoint) as settings,
        SimulatedHelpdesk(tickets=tickets, start=start, frozen=True) as simulator,
        closing(connect(settings)) as direct,
        ServiceProxy(
            endpoint, clock, durations=durations, keys=KEYS, price=price, watches_keys=True
        ) as proxy,
    ):
        direct.ensure_dataset()
        began = simulator.clock().now
        proxy.datasets.now = lambda: began
        update = {
            "helpdesk_base_url": simulator.base_url,
            "helpdesk_api_token": SecretStr(simulator.token),
            "bigquery_emulator_host": proxy.endpoint,
            "webhook_secrets": SECRET,
            **changed,
        }
        product = Product(simulator, settings.model_copy(update=update), proxy, clock, direct)
        yield product
        # Nothing may come into a dataset that is dropped.
        proxy.finish()


def event_of(ticket: TrueTicket) -> dict[str, Any]:
    """Return the webhook about a change, as the helpdesk sends it."""
    return {
        "id": uuid.uuid4().hex,
        "type": "ticket.updated",
        "ticketId": ticket.ticket_id,
        "modifiedTime": ticket.modified_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ticket": ticket.raw_ticket,
    }
