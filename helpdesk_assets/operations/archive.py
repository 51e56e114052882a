"""Ask an archive for the tickets that the table lacks, by id, as a part of a reconciliation.

No list has them, so a first load lacks all that were archived before it. Their ids are consecutive
numbers: each that has no row is asked for once, in the order of creation. How far that has come is
noted beside the table of inventories, so whoever was interrupted goes on there. An archived ticket
does not change any more, so no id is asked for again, unless the tickets table was made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from helpdesk_assets.errors import DeletionUnproven
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets.providers.base import Archive, Capabilities, Helpdesk
from helpdesk_assets.warehouse.base import Warehouse

# Ids that are looked up and asked for between two marks: at 200 calls a minute, five minutes.
BLOCK = 1_000
# Higher numbers are not consecutive: no account has so many tickets.
MAX_NUMBER = 100_000_000


@dataclass(frozen=True, slots=True)
class ArchivePolicy:
    """How an archive is asked.

    Attributes:
        webhooks: what is expected of webhooks; none is of an archived ticket.
        concurrency: concurrent calls.
        longest: how long one reconciliation asks; None: to the end.
        monotonic: seconds of a clock that never jumps.
    """

    webhooks: WebhookPolicy
    concurrency: int
    longest: timedelta | None
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """How much of an archive the table has.

    Attributes:
        newest: the highest id that the helpdesk lists.
        not_listed: ids up to it that the inventory does not have: archived, or deleted for good.
        notice: see `Archive.notice`.
        asked_up_to: the ids up to this one have a row or were asked for; None: none is asked for.
        repaired: what became of those that this run asked for.
        stopped: why none was asked for, as a clause; None if there is no reason against it.
    """

    newest: int
    not_listed: int
    notice: str
    asked_up_to: int | None = None
    repaired: RepairReport = field(default_factory=RepairReport)
    stopped: str | None = None

    @property
    def facts(self) -> dict[str, int | str]:
        """The counts, for Dagster's metadata."""
        return {
            "ids_not_listed": self.not_listed,
            "archived_added": self.repaired.merged,
            "archive_asked_up_to": self.asked_up_to or 0,
            "archive_not_asked": self.stopped or "",
        }


# Of a helpdesk whose lists have every ticket.
NO_ARCHIVE = ArchiveReport(0, 0, "")


@dataclass(frozen=True, slots=True)
class _ArchivedTickets:
    """A `TicketSource` of the archive alone."""

    helpdesk: Helpdesk
    source: Archive

    @property
    def capabilities(self) -> Capabilities:
        return self.helpdesk.capabilities

    @property
    def served_at(self) -> datetime | None:
        return self.helpdesk.served_at

    def ticket(self, ticket_id: str) -> Ticket | None:
        return self.source.ticket(ticket_id)

    def confirm_rights(self) -> None:
        self.helpdesk.confirm_rights()


def read_archive(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    policy: ArchivePolicy,
    *,
    listed: int,
    run_id: str,
    only_look: bool,
) -> ArchiveReport | None:
    """Say how many tickets are in no list, and add those that the archive has, if it is read.

    Args:
        helpdesk: the helpdesk.
        warehouse: where to.
        policy: how it is asked.
        listed: tickets of the inventory.
        run_id: names the run in every table.
        only_look: ask for no ticket.

    Returns:
        None if the helpdesk lists every ticket. Without consecutive ids nothing is counted.

    Raises:
        HelpdeskAssetsError: the errors of `repair_tickets`; what was added before stays.
    """
    archive = helpdesk.archive
    if archive is None:
        return None
    newest = archive.newest_number()
    if newest > MAX_NUMBER:
        return replace(NO_ARCHIVE, notice=archive.notice)
    report = ArchiveReport(newest, max(0, newest - listed), archive.notice)
    if not newest or not archive.is_read or only_look:
        return report
    if stopped := _reason_against(helpdesk, archive):
        return replace(report, stopped=stopped)
    reader = _ArchiveReader(_ArchivedTickets(helpdesk, archive), warehouse, policy, run_id)
    asked_up_to, repaired = reader.read(newest)
    return replace(report, asked_up_to=asked_up_to, repaired=repaired)


def _reason_against(helpdesk: Helpdesk, archive: Archive) -> str | None:
    """Return why ids would be asked for in vain: never again, since each is asked for once."""
    if blind_spot := helpdesk.blind_spot():
        return blind_spot
    try:
        archive.ticket("1")
    except DeletionUnproven as error:
        return str(error).rstrip(".")
    return None


class _ArchiveReader:
    """Asks for blocks of ids, and notes after each how far it has come."""

    def __init__(
        self, source: _ArchivedTickets, warehouse: Warehouse, policy: ArchivePolicy, run_id: str
    ) -> None:
        self._source = source
        self._warehouse = warehouse
        self._store = warehouse.inventories()
        self._policy = policy
        self._run_id = run_id
        tickets = warehouse.ground().tickets
        created = tickets.created if tickets else None
        # A table that was made anew has none of what was added to the one before.
        self._table = f"{int(created.timestamp() * 1e6)}-" if created else "0-"

    def read(self, newest: int) -> tuple[int, RepairReport]:
        """Ask for every id up to the newest, as long as time allows."""
        policy, report = self._policy, RepairReport()
        position, began = self._noted(), policy.monotonic()
        while position < newest and not self._is_late(began):
            end = min(position + BLOCK, newest)
            report += self._ask([str(number) for number in range(position + 1, end + 1)])
            self._store.note_archive(f"{self._table}{end}")
            position = end
        return position, report

    def _is_late(self, began: float) -> bool:
        longest = self._policy.longest
        return longest is not None and self._policy.monotonic() - began >= longest.total_seconds()

    def _noted(self) -> int:
        mark = self._store.archive_mark() or ""
        number = mark.removeprefix(self._table)
        return int(number) if mark.startswith(self._table) and number.isdecimal() else 0

    def _ask(self, ids: list[str]) -> RepairReport:
        known = self._warehouse.known_tickets(ids, run_id=self._run_id)
        return repair_tickets(
            self._source,
            self._warehouse,
            [ticket_id for ticket_id in ids if ticket_id not in known],
            run_id=self._run_id,
            webhooks=replace(self._policy.webhooks, enabled=False),
            concurrency=self._policy.concurrency,
        )
