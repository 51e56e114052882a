"""One story: a helpdesk, webhooks and runs, what is done to them, and what must hold meanwhile.

Every part is the real one. The helpdesk's clock stands still unless the story moves it, so that a
story told again is the same story; waiting moves it too.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import SecretStr

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.extract.checkpoint import SAVE_EVERY
from helpdesk_assets.extract.plan import Ask, Options
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.webhooks import LedgerBy
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.reconcile import Terms, reconcile
from helpdesk_assets.operations.repair import repair_tickets
from helpdesk_assets.operations.sync import Policy, SyncReport
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets_tests.chaos.environment import Stage
from helpdesk_assets_tests.chaos.expected_ledger import Book, Brought, Look
from helpdesk_assets_tests.chaos.invariants import Checks
from helpdesk_assets_tests.chaos.killable_run import Order, parts, run_and_die, run_once, world_of
from helpdesk_assets_tests.chaos.webhook_client import Postman
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig

T = TypeVar("T")
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
ALWAYS = timedelta(0)


@dataclass(frozen=True, slots=True)
class Letter:
    """A webhook that the helpdesk has written, and nobody has got yet."""

    event: dict[str, Any]
    ticket_id: str
    version: datetime
    is_end: bool
    ticket: TrueTicket | None


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between stories from their beginning. `by_events`: webhooks go to our receiver,
    else to a function of somebody's that writes the tickets table. `saves`: readings are made
    durable page by page. `stages`: batches go through staging tables."""

    tickets: int
    by_events: bool
    page_size: int = 3
    saves: bool = False
    stages: bool = False


class Story:
    """Use it as a context manager. Methods are what can happen; each may raise AssertionError."""

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self.stage, self.kind, self.counts = stage, kind, stage.counts
        self.clock_off = ALWAYS
        self.letters: list[Letter] = []
        self._moments = 0
        self._opened = ExitStack()

    def __enter__(self) -> Story:
        with self._opened as opened:
            self._begin(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stage.proxy.clear()
        self._opened.close()

    def _begin(self, opened: ExitStack) -> None:
        self.counts["stories"] += 1
        settings = self.stage.settings()
        self.desk = opened.enter_context(
            SimulatedHelpdesk(self.kind.tickets, start=START, frozen=True)
        )
        self.settings = settings.model_copy(
            update={
                "helpdesk_base_url": self.desk.base_url,
                "helpdesk_api_token": SecretStr(self.desk.token),
                "helpdesk_page_size": self.kind.page_size,
                "helpdesk_concurrency": 2,
                "webhook_ledger": LedgerBy.EVENTS if self.kind.by_events else LedgerBy.TABLE,
                "bigquery_small_batch_bytes": 1 if self.kind.stages else 1_000_000,
                "bigquery_emulator_host": self.stage.proxy.endpoint,
            }
        )
        self.warehouse = opened.enter_context(closing(connect(settings)))
        _empty(self.warehouse)
        self._world = world_of(self.desk, lambda: self.clock_off)
        self.rig = Rig(self.desk, self.settings, self.warehouse)
        self.book = Book(settings.grace, self.kind.by_events, listening_since=START)
        self.checks = Checks(self.rig, self.book, self.counts)
        if self.kind.by_events:
            receiving = opened.enter_context(closing(_through_proxy(self.settings)))
            self._postman = opened.enter_context(
                Postman(self.settings, receiving, lambda: self.desk.clock().now)
            )
            # From the first webhook on, the ledger counts on webhooks.
            self._wrote("created", self.desk.create(1))
            self.deliver([0])
        else:
            self.rig.sync_tables_exist()

    # What happens at the helpdesk.

    def changed(self, changes: Iterable[TrueTicket], kind: str = "updated") -> None:
        self._wrote(kind, changes)

    def living(self) -> list[str]:
        return [ticket.ticket_id for ticket in self.desk.truth()]

    def gone(self, ids: Sequence[str]) -> None:
        """Tickets have left, just now."""
        at = self.desk.clock().now.replace(microsecond=0)
        for ticket_id in ids:
            event = _event("deleted", ticket_id, at, None)
            self.letters.append(Letter(event, ticket_id, at, True, None))
            self.counts["tickets changed"] += 1
        self.book.has_hidden = True

    def merge(self, ticket_id: str, into: str) -> None:
        self.gone(self.desk.merge([ticket_id], into))
        whole = {ticket.ticket_id: ticket for ticket in self.desk.truth(whole=True)}
        self._wrote("updated", [whole[into]])

    def _wrote(self, kind: str, changes: Iterable[TrueTicket]) -> None:
        for change in changes:
            event = _event(kind, change.ticket_id, change.modified_time, change.whole)
            self.letters.append(
                Letter(event, change.ticket_id, change.modified_time, False, change)
            )
            self.counts["tickets changed"] += 1

    # What becomes of webhooks.

    def deliver(self, which: Sequence[int], *, twice: bool = False) -> None:
        """These letters arrive, in this order, those that are to come twice in two rounds."""
        letters = [self.letters[number % len(self.letters)] for number in which]
        letters = list({letter.event["id"]: letter for letter in letters}.values())
        self.letters = [letter for letter in self.letters if letter not in letters]
        self._bring(letters)
        if twice:
            self.counts["webhooks doubled"] += len(letters)
            self._bring(letters)

    def lose(self, which: Sequence[int]) -> None:
        lost = {number % len(self.letters) for number in which}
        self.letters = [each for n, each in enumerate(self.letters) if n not in lost]
        self.counts["webhooks lost"] += len(lost)

    def _bring(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        if self.kind.by_events:
            statuses = self._postman.post([letter.event for letter in letters])
            refused = [
                each for each, status in zip(letters, statuses, strict=True) if status != 200
            ]
            if refused:
                # Sent again at once, as vendors do, so that it is known when they were durable.
                self.stage.proxy.clear()
                statuses = self._postman.post([letter.event for letter in refused])
                assert set(statuses) == {200}, f"nothing was in the way, and the answer {statuses}"
        else:
            self.rig.deliver(letter.ticket for letter in letters if letter.ticket is not None)
        at = self.desk.clock().now
        for letter in letters:
            if self.kind.by_events or letter.ticket is not None:
                self.counts["webhooks delivered"] += 1
                self.counts["webhooks late"] += at - letter.version > self.book.grace
                self.book.brought.append(
                    Brought(letter.ticket_id, letter.version, letter.is_end, self._moment(), at)
                )

    # Runs.

    def run(
        self,
        ask: Ask = Ask.AUTO,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        fails: bool = False,
        on_phase: Callable[[str], None] = lambda _: None,
        **changed: Any,
    ) -> SyncReport | None:
        """One run. None where it failed in a way that says so, which is right only where something
        was in its way (`fails`)."""
        save_every = ALWAYS if self.kind.saves else SAVE_EVERY
        with self._looking():
            report = self._tried(
                fails,
                lambda: run_once(
                    self.settings.model_copy(update=changed),
                    Options(ask, since, until),
                    self._world,
                    save_every=save_every,
                    on_phase=on_phase,
                ),
            )
        if report is not None:
            self._went_well(report)
        return report

    def repair(self, ids: Sequence[str]) -> None:
        """By id, as a person does who fears that these are wrong."""
        self.counts["repairs"] += 1
        with self._looking(), parts(self.settings, self._world) as (helpdesk, sync_tables):
            repair_tickets(
                helpdesk,
                sync_tables,
                ids,
                run_id=uuid.uuid4().hex,
                webhooks=self.settings.webhooks,
            )

    def reconcile(self, *, fails: bool = False) -> None:
        """What has gone is marked; of what lives nothing may be."""
        self.counts["reconciliations"] += 1
        with self._looking(), parts(self.settings, self._world) as (helpdesk, sync_tables):
            has_begun = self.book.loaded_until is not None
            self._tried(
                fails or not has_begun,
                lambda: reconcile(
                    helpdesk,
                    sync_tables,
                    Terms(self.settings.webhooks, self.settings.settled_after, most_gone_share=0.5),
                    run_id=uuid.uuid4().hex,
                ),
            )

    def backfill(self, back: timedelta) -> None:
        self.counts["backfills"] += 1
        now = self.desk.clock().now
        with self._looking(), parts(self.settings, self._world) as (helpdesk, sync_tables):
            backfill(
                helpdesk,
                sync_tables,
                now - back,
                now,
                Policy.from_settings(self.settings),
                run_id=uuid.uuid4().hex,
            )

    def _tried(self, fails: bool, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except HelpdeskAssetsError as error:
            told = str(error)
        self.counts["syncs that failed"] += 1
        assert "\n" not in told, f"promise 6: more than one line: {told}"
        assert fails, f"promise 6: nothing was in the way of the run, and it failed: {told}"
        return None

    def run_and_kill(
        self,
        ask: Ask,
        *,
        phase: str | None = None,
        call: int | None = None,
        moment: str = "before",
        jobs: bool = False,
    ) -> None:
        """A run in a process of its own, which dies when a phase is done, or before or after its
        n-th call of the warehouse, or the n-th that starts a job. Where it never comes to that, it
        ends as any run."""
        order = Order(
            self.settings,
            Options(ask),
            self.clock_off,
            ALWAYS if self.kind.saves else SAVE_EVERY,
            phase,
            self.stage.guards,
        )
        process = self.stage.forks.Process(target=run_and_die, args=(order,))
        is_named = threading.Event()
        calls = {"before": 0, "after": 0}

        def count(now: str, starts_a_job: bool) -> bool:
            if jobs and not starts_a_job:
                return False
            calls[now] += 1
            if call is None or now != moment or calls[now] != call:
                return False
            is_named.wait(60)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            return True

        self.stage.proxy.kills = count
        try:
            with self._looking():
                process.start()
                is_named.set()
                process.join(timeout=120)
        finally:
            self.stage.proxy.kills = None
        assert process.exitcode in (-9, 0, 3), f"the run ended with {process.exitcode}"
        self.counts["kills"] += process.exitcode == -9

    def settle(self) -> None:
        """Faults stop, the helpdesk is quiet, and one run puts all right."""
        self.counts["settled"] += 1
        self.stage.proxy.clear()
        self.desk.clear_faults()
        self.desk.advance(RIPE_SECONDS)
        self.run()
        self.checks.after_quiet(ripe_until=self.desk.clock().now - self.book.grace)

    def check(self) -> None:
        self.checks.always()

    @contextmanager
    def _looking(self) -> Iterator[None]:
        self.counts["syncs"] += 1
        now = self.desk.clock().now
        look = Look(self._moment(), now, now)
        self.book.looks.append(look)
        try:
            yield
        finally:
            look.ended = self.desk.clock().now

    def _went_well(self, report: SyncReport) -> None:
        until = report.manifest.window.until
        if report.state is None or report.state.watermark is None:
            return
        if self.book.loaded_until is None:
            self.book.loaded_until = report.state.watermark
        if not report.manifest.is_range and not report.manifest.fallback:
            self.book.judged.update(
                (ticket.ticket_id, ticket.modified_time)
                for ticket in self.desk.truth()
                if ticket.modified_time <= until
            )

    def _moment(self) -> int:
        self._moments += 1
        return self._moments


def _event(kind: str, ticket_id: str, at: datetime, whole: Any) -> dict[str, Any]:
    event = {
        "id": uuid.uuid4().hex,
        "type": f"ticket.{kind}",
        "ticketId": ticket_id,
        "modifiedTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return event if whole is None else {**event, "ticket": whole}


def _through_proxy(settings: Settings) -> Warehouse:
    return connect(settings, sleep=lambda _: None, random=lambda: 0.5)


def _empty(warehouse: Warehouse) -> None:
    client, dataset = warehouse._client, warehouse.dataset.name
    client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    warehouse.ensure_dataset()
