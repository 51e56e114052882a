"""One scenario: a helpdesk, webhooks and runs, the actions on them, and the invariants.

Every part is the real one. The helpdesk's clock is frozen unless the scenario moves it, so that a
repeated scenario is the same; waiting moves it too.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import SecretStr

from helpdesk_assets.errors import AccountMismatch, HelpdeskAssetsError
from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import LedgerSource
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.reconcile import ReconcilePolicy, reconcile
from helpdesk_assets.operations.repair import repair_tickets
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.backends import BigQueryBackend
from helpdesk_assets_tests.chaos.environment import Environment
from helpdesk_assets_tests.chaos.expected_ledger import DeliveredWebhook, ExpectedLedger, RunSpan
from helpdesk_assets_tests.chaos.interference import Interference
from helpdesk_assets_tests.chaos.invariants import Invariants
from helpdesk_assets_tests.chaos.killable_run import (
    KillableRun,
    drain_once,
    open_run,
    run_once,
    run_until_killed,
    runtime_of,
)
from helpdesk_assets_tests.chaos.tampering import Tampering
from helpdesk_assets_tests.chaos.webhook_client import WebhookClient
from helpdesk_assets_tests.conformance.vendors import FRESHDESK
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.service_proxy.at_once import run_at_once

T = TypeVar("T")
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
ALWAYS = timedelta(0)


@dataclass(frozen=True, slots=True)
class PendingWebhook:
    """A webhook that the helpdesk has created and nobody has received yet."""

    event: dict[str, Any]
    ticket_id: str
    version: datetime
    is_deletion: bool
    ticket: TrueTicket | None


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """Options of a scenario.

    With `by_events`, webhooks go to our receiver; without, a function writes the tickets table.
    With `checkpoints`, a fetch saves every page. With `uses_staging`, batches go through staging
    tables.
    """

    tickets: int
    by_events: bool
    page_size: int = 3
    checkpoints: bool = False
    uses_staging: bool = False


class Scenario:
    """A context manager whose methods are the possible actions.

    Each action may raise AssertionError.
    """

    def __init__(self, environment: Environment, kind: ScenarioOptions) -> None:
        self.environment, self.kind, self.counts = environment, kind, environment.counts
        self.clock_off = ALWAYS
        self.pending: list[PendingWebhook] = []
        self.interference = Interference()
        self.manifests: list[Manifest] = []
        self._order = 0
        self._opened = ExitStack()

    def __enter__(self) -> Scenario:
        with self._opened as opened:
            self._begin(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.environment.proxy.clear()
        self.environment.service.finish()
        self._opened.close()

    def _begin(self, opened: ExitStack) -> None:
        self.counts["stories"] += 1
        settings = self.environment.settings()
        self.simulator = opened.enter_context(
            SimulatedHelpdesk(self.kind.tickets, start=START, frozen=True)
        )
        self.settings = settings.model_copy(
            update={
                "helpdesk_base_url": self.simulator.base_url,
                "helpdesk_api_token": SecretStr(self.simulator.token),
                "helpdesk_page_size": self.kind.page_size,
                "helpdesk_concurrency": 2,
                "webhook_ledger": LedgerSource.EVENTS
                if self.kind.by_events
                else LedgerSource.TABLE,
                "webhooks_enabled": True,
                "bigquery_small_batch_bytes": 1 if self.kind.uses_staging else 1_000_000,
                "bigquery_emulator_host": self.environment.proxy.endpoint,
            }
        )
        # Else the service would drop the partitions of a story as soon as that is long ago.
        self.environment.service.datasets.now = lambda: START
        self.warehouse = opened.enter_context(closing(connect(settings)))
        _empty(self.warehouse)
        self.tampering = Tampering(self.warehouse)
        self._runtime = runtime_of(self.simulator, lambda: self.clock_off)
        self.harness = Harness(self.simulator, self.settings, BigQueryBackend(self.warehouse))
        self.expected_ledger = ExpectedLedger(
            settings.grace, self.kind.by_events, listening_since=START
        )
        self.checks = Invariants(self.harness, self.expected_ledger, self.interference, self.counts)
        if self.kind.by_events:
            self._webhook_client = opened.enter_context(
                WebhookClient(self.settings, lambda: self.simulator.clock().now)
            )
            # Another one, which a load balancer might ask as well.
            self._second_client = opened.enter_context(
                WebhookClient(self.settings, lambda: self.simulator.clock().now)
            )
            # From the first webhook on, the ledger expects webhooks.
            self._record_webhooks("created", self.simulator.create(1))
            self.deliver([0])
        else:
            self.harness.prepare_tables()

    # Actions at the helpdesk.

    def record_changed(self, changes: Iterable[TrueTicket], kind: str = "updated") -> None:
        self._record_webhooks(kind, changes)

    def live_ids(self) -> list[str]:
        return [ticket.ticket_id for ticket in self.simulator.truth()]

    def record_removed(self, ids: Sequence[str]) -> None:
        """Record that tickets were removed just now."""
        at = self.simulator.clock().now.replace(microsecond=0)
        for ticket_id in ids:
            event = _event("deleted", ticket_id, at, None)
            self.pending.append(PendingWebhook(event, ticket_id, at, True, None))
            self.counts["tickets changed"] += 1
        self.expected_ledger.has_hidden_changes = True

    def merge(self, ticket_id: str, into: str) -> None:
        self.record_removed(self.simulator.merge([ticket_id], into))
        raw_ticket = {ticket.ticket_id: ticket for ticket in self.simulator.truth(raw_ticket=True)}
        self._record_webhooks("updated", [raw_ticket[into]])

    def _record_webhooks(self, kind: str, changes: Iterable[TrueTicket]) -> None:
        for change in changes:
            event = _event(kind, change.ticket_id, change.modified_time, change.raw_ticket)
            self.pending.append(
                PendingWebhook(event, change.ticket_id, change.modified_time, False, change)
            )
            self.counts["tickets changed"] += 1

    # What others do.

    def touch(self, what: str) -> None:
        """Note that somebody touches the tables: until a green run they may be wrong."""
        self.counts["other hands"] += 1
        self.counts[f"other hands: {what}"] += 1
        self.interference.touch()
        self.expected_ledger.is_tampered = True

    def hide(self, ids: Sequence[str]) -> None:
        """Take the token's right to see these tickets; `show_hidden` gives it back."""
        self.counts["other hands: fewer rights"] += 1
        self.simulator.hide(ids=ids)
        self._may_look_dead(ids)

    def remove_for_a_while(self, ids: Sequence[str]) -> None:
        """Delete tickets that will be restored with their modified time of before."""
        self.counts["other hands: restored ticket"] += 1
        self.simulator.delete(ids=ids)
        self.record_removed(ids)
        self._may_look_dead(ids)

    def _may_look_dead(self, ids: Sequence[str]) -> None:
        self.interference.needs_reconciliation = True
        self.interference.dead |= set(ids)
        self.expected_ledger.has_hidden_changes = True

    def sync_another_account(self, requested_mode: RequestedMode) -> None:
        """Run over the same dataset for another account, which must be refused."""
        self.counts["other hands: another account"] += 1
        before = self.harness.rows() if self.tampering.exists("tickets") else []
        known = self.tampering.exists("sync_state") and self.harness.rows("sync_state")
        if not before or not known or self.interference.is_open:
            return
        with SimulatedHelpdesk(3, start=START, frozen=True, dialect=FRESHDESK.name) as other:
            settings = self.settings.model_copy(
                update={
                    "helpdesk_provider": FRESHDESK.name,
                    "helpdesk_base_url": other.base_url,
                    **FRESHDESK.settings(other),
                }
            )
            said = None
            try:
                run_once(
                    settings,
                    SyncRequest(requested_mode),
                    runtime_of(other, lambda: ALWAYS),
                    checkpoint_every=CHECKPOINT_EVERY,
                )
            except AccountMismatch as error:
                said = str(error)
        assert said is not None, "promise 9: another account was not refused"
        assert "\n" not in said, f"promise 6: more than one line: {said}"
        assert self.harness.rows() == before, "promise 9: another account has written"

    def reexecute(self, back: int) -> None:
        """Execute the last steps of an earlier run again, as Dagster does from a failure."""
        if not self.manifests:
            return
        self.counts["other hands: re-execution"] += 1
        manifest = self.manifests[-1 - back % len(self.manifests)]
        with self._record_run(), self._open_run() as (_, sync_tables):
            webhooks = self.settings.webhooks

            def steps() -> tuple[RunCounts, SyncState | None]:
                with sync_tables.lease("sync", run_id=manifest.run_id):
                    sync_tables.merge_missed(manifest, webhooks)
                    sync_tables.merge_tickets(manifest)
                    return sync_tables.commit_run(manifest, webhooks)

            self._attempt(True, steps)

    # Delivery of webhooks.

    def deliver(self, which: Sequence[int], *, twice: bool = False) -> None:
        """Deliver webhooks in order; those marked as doubled arrive again in a second round."""
        pending = [self.pending[number % len(self.pending)] for number in which]
        pending = list({webhook.event["id"]: webhook for webhook in pending}.values())
        self.pending = [webhook for webhook in self.pending if webhook not in pending]
        self._send(pending)
        if twice:
            self.counts["webhooks doubled"] += len(pending)
            self._send(pending)

    def lose(self, which: Sequence[int]) -> None:
        lost = {number % len(self.pending) for number in which}
        self.pending = [each for n, each in enumerate(self.pending) if n not in lost]
        self.counts["webhooks lost"] += len(lost)

    def _send(self, pending: Sequence[PendingWebhook]) -> None:
        if not pending:
            return
        if self.kind.by_events:
            statuses = self._webhook_client.post([webhook.event for webhook in pending])
            refused = [
                each for each, status in zip(pending, statuses, strict=True) if status != 200
            ]
            if refused:
                # Retried at once, as vendors do, so that the time of durability is known.
                self.environment.proxy.clear()
                statuses = self._webhook_client.post([webhook.event for webhook in refused])
                if self.interference.is_open and set(statuses) != {200}:
                    self.counts["webhooks lost"] += len(refused)
                    return
                assert set(statuses) == {200}, f"nothing was in the way, and the answer {statuses}"
        else:
            self.harness.deliver(
                webhook.ticket for webhook in pending if webhook.ticket is not None
            )
        self._record_delivered(pending)

    def _record_delivered(self, pending: Sequence[PendingWebhook]) -> None:
        at = self.simulator.clock().now
        known = self._known()
        if self.kind.by_events:
            self.checks.acknowledged.update(webhook.event["id"] for webhook in pending)
        for webhook in pending:
            # A deletion of a ticket that the table never had is answered, and is merged by nobody.
            if webhook.is_deletion and webhook.ticket_id not in known:
                continue
            known.add(webhook.ticket_id)
            if self.kind.by_events or webhook.ticket is not None:
                self.counts["webhooks delivered"] += 1
                self.counts["webhooks late"] += at - webhook.version > self.expected_ledger.grace
                self.expected_ledger.delivered.append(
                    DeliveredWebhook(
                        webhook.ticket_id,
                        webhook.version,
                        webhook.is_deletion,
                        self._next_order(),
                        at,
                    )
                )

    def _known(self) -> set[str]:
        """Return the tickets that the table has, or that a drain will find in an event."""
        brought = {each.ticket_id for each in self.expected_ledger.delivered}
        if self.warehouse.get_table("tickets", fresh=True) is None:
            return brought
        return brought | {row["ticket_id"] for row in self.harness.rows("tickets")}

    # Runs.

    def run(
        self,
        requested_mode: RequestedMode = RequestedMode.AUTO,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        fails: bool = False,
        on_phase: Callable[[str], None] = lambda _: None,
        **changed: Any,
    ) -> SyncReport | None:
        """Run the sync; returns None if it failed with a clear error.

        A failure is allowed only if something was in the way (`fails`).
        """
        checkpoint_every = ALWAYS if self.kind.checkpoints else CHECKPOINT_EVERY
        with self._record_run():
            report = self._attempt(
                fails,
                lambda: run_once(
                    self.settings.model_copy(update=changed),
                    SyncRequest(requested_mode, since, until),
                    self._runtime,
                    checkpoint_every=checkpoint_every,
                    clock=self.environment.clock,
                    on_phase=on_phase,
                ),
            )
        if report is not None:
            self._record_success(report)
        return report

    def drain(self, *, everything: bool = True, fails: bool = False) -> None:
        """Merge the webhooks that wait; all that were answered must be in the table then."""
        self.counts["drains"] += 1
        order = self._next_order()
        report = self._attempt(
            fails or self.interference.is_open,
            lambda: drain_once(
                self.settings, self._runtime, self.environment.clock, everything=everything
            ),
        )
        if report is None or report.error is not None:
            assert fails or self.interference.is_open, f"promise 6: nothing failed: {report}"
        elif everything:
            self.checks.check_after_drain(before=order)

    def receive_at_once(self) -> None:
        """Two receivers get the webhooks in flight, each all of them, while a run works."""
        pending, self.pending = self.pending, []
        if not (pending and self.kind.by_events):
            return
        self.environment.proxy.clear()
        statuses: list[int] = []

        def post(client: WebhookClient) -> None:
            statuses.extend(client.post([webhook.event for webhook in pending]))

        self.write_at_once(lambda: post(self._webhook_client), lambda: post(self._second_client))
        assert set(statuses) == {200}, f"nothing was in the way, and the answers {statuses}"
        self._record_delivered(pending)

    def write_at_once(self, *others: Callable[[], object]) -> None:
        """Run beside other writers; any may be refused, and then says so."""
        self.counts["runs at once"] += 1
        works = [lambda: self.run(fails=True), *others]
        for error in run_at_once(self.environment.clock, works):
            if error is not None and not isinstance(error, HelpdeskAssetsError):
                raise error

    def repair(self, ids: Sequence[str]) -> None:
        """Repair tickets by id, as a person does who suspects they are wrong."""
        self.counts["repairs"] += 1
        with self._record_run(), self._open_run() as (helpdesk, sync_tables):
            repair_tickets(
                helpdesk,
                sync_tables,
                ids,
                run_id=uuid.uuid4().hex,
                webhooks=self.settings.webhooks,
            )

    def reconcile(self, *, fails: bool = False) -> None:
        """Reconcile: removed tickets may be marked as deleted, live ones must not."""
        self.counts["reconciliations"] += 1
        with self._record_run(), self._open_run() as (helpdesk, sync_tables):
            has_begun = self.expected_ledger.loaded_until is not None
            self._attempt(
                fails or not has_begun,
                lambda: reconcile(
                    helpdesk,
                    sync_tables,
                    ReconcilePolicy(
                        self.settings.webhooks, self.settings.listing_delay, max_delete_share=0.5
                    ),
                    run_id=uuid.uuid4().hex,
                ),
            )

    def backfill(self, back: timedelta) -> None:
        self.counts["backfills"] += 1
        now = self.simulator.clock().now
        with self._record_run(), self._open_run() as (helpdesk, sync_tables):
            backfill(
                helpdesk,
                sync_tables,
                now - back,
                now,
                SyncPolicy.from_settings(self.settings),
                run_id=uuid.uuid4().hex,
            )

    def _open_run(self) -> AbstractContextManager[tuple[Helpdesk, SyncTables]]:
        return open_run(self.settings, self._runtime, self.environment.clock)

    def _attempt(self, fails: bool, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except HelpdeskAssetsError as error:
            message = str(error)
        self.counts["syncs that failed"] += 1
        assert "\n" not in message, f"promise 6: more than one line: {message}"
        assert fails, f"promise 6: nothing was in the way of the run, and it failed: {message}"
        return None

    def run_and_kill(
        self,
        requested_mode: RequestedMode,
        *,
        phase: str | None = None,
        call: int | None = None,
        moment: str = "before",
        jobs: bool = False,
        is_drain: bool = False,
    ) -> None:
        """Run, or drain, in a separate process that is killed.

        The process dies after a phase, or before or after its n-th call of the warehouse, or after
        the n-th call that starts a job. If it never gets there, it ends like any run.
        """
        order = KillableRun(
            self.settings,
            SyncRequest(requested_mode),
            self.clock_off,
            ALWAYS if self.kind.checkpoints else CHECKPOINT_EVERY,
            phase,
            self.environment.guards,
            is_drain,
        )
        process = self.environment.forks.Process(target=run_until_killed, args=(order,))
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

        self.environment.proxy.kills = count
        try:
            with self._record_run():
                process.start()
                is_named.set()
                process.join(timeout=120)
        finally:
            self.environment.proxy.kills = None
        assert process.exitcode in (-9, 0, 3), f"the run ended with {process.exitcode}"
        self.counts["kills"] += process.exitcode == -9

    def sync_and_verify(self) -> None:
        """Stop all faults, run once, and check that everything is correct."""
        self.counts["settled"] += 1
        self.environment.proxy.clear()
        self.simulator.clear_faults()
        self.simulator.show_hidden()
        self.simulator.advance(SECONDS_PAST_GRACE)
        other_hands = self.interference
        is_blind = other_hands.needs_force or other_hands.needs_full_load
        self.run(RequestedMode.FULL if is_blind else RequestedMode.AUTO)
        if other_hands.is_open:
            # The run was red and has said so; the next one puts it right.
            self.run()
        assert not other_hands.is_open, "promise 9: two runs in a row, and the table is still red"
        if other_hands.needs_reconciliation:
            self.simulator.advance(SECONDS_PAST_GRACE)
            self.reconcile()
            other_hands.needs_reconciliation = False
            other_hands.dead.clear()
        self.checks.check_after_sync(
            judged_until=self.simulator.clock().now - self.expected_ledger.grace
        )

    def check(self) -> None:
        # A job whose caller was killed goes on: what it does is there by now.
        self.environment.service.finish()
        self.checks.check_always()

    @contextmanager
    def _record_run(self) -> Iterator[None]:
        self.counts["syncs"] += 1
        now = self.simulator.clock().now
        run_span = RunSpan(self._next_order(), now, now)
        self.expected_ledger.run_spans.append(run_span)
        try:
            yield
        finally:
            run_span.ended = self.simulator.clock().now

    def _record_success(self, report: SyncReport) -> None:
        self.interference.record_run(report)
        # Rows of one key are removed by the run that counts them, but must not be written at all.
        assert self.expected_ledger.is_tampered or not report.facts.repeated, (
            f"promise 3: nobody has doubled rows, and the run found {report.facts.repeated}"
        )
        if not report.manifest.is_range:
            self.manifests.append(report.manifest)
        until = report.manifest.window.until
        if report.state is None or report.state.watermark is None:
            return
        if self.expected_ledger.loaded_until is None:
            self.expected_ledger.loaded_until = report.state.watermark
        if not report.manifest.is_range and not report.manifest.fallback:
            self.expected_ledger.judged.update(
                (ticket.ticket_id, ticket.modified_time)
                for ticket in self.simulator.truth()
                if ticket.modified_time <= until
            )

    def _next_order(self) -> int:
        self._order += 1
        return self._order


def _event(kind: str, ticket_id: str, at: datetime, raw_ticket: Any) -> dict[str, Any]:
    event = {
        "id": uuid.uuid4().hex,
        "type": f"ticket.{kind}",
        "ticketId": ticket_id,
        "modifiedTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return event if raw_ticket is None else {**event, "ticket": raw_ticket}


def _empty(warehouse: BigQueryClient) -> None:
    client, dataset = warehouse._client, warehouse.dataset.name
    client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    warehouse.ensure_dataset()
