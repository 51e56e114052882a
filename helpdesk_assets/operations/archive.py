"""Ask an archive for the tickets that the table lacks, by id, as a part of a reconciliation.

No list has them, so a first load lacks all that were archived before it. Their ids are consecutive
numbers: each that has no row is asked for, in the order of creation, and then the next ones until
none is found: all of the newest may be archived. How far that has come is noted beside the table of
inventories, so whoever was interrupted goes on there. An archived ticket does not change any more,
so no id is asked for again, unless it was not read or the tickets table was made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from helpdesk_assets.errors import DeletionUnproven, TicketForbidden, TicketUnreadable
from helpdesk_assets.model.reconciliation import RowCounts
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets.providers.base import Archive, Capabilities, Helpdesk
from helpdesk_assets.warehouse.base import Warehouse

# Ids that are looked up and asked for between two marks: at 200 calls a minute, five minutes.
BLOCK = 1_000
# Ids asked for beyond the highest known one. If none of them is found, no higher one is expected.
AHEAD = 100
# Asked whether the archive answers: one ticket alone may be refused.
PROBED = ("1", "2", "3")
# What BigQuery's labels hold; a mark is one.
MAX_MARK = 63
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
        newest: the highest id that is known: listed, in the table or found in the archive.
        not_listed: ids up to it that the inventory does not have: archived, or deleted for good.
        notice: see `Archive.notice`.
        asked_up_to: the ids up to this one have a row or were asked for; None: none is asked for.
            Those that were not read are asked for again next time.
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
    """A `TicketSource` of the archive alone; any thread may use it.

    Attributes:
        found: ids of the tickets that it has.
        unread: ids of those that could not be read, or may be there.
    """

    helpdesk: Helpdesk
    source: Archive
    found: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return self.helpdesk.capabilities

    @property
    def served_at(self) -> datetime | None:
        return self.helpdesk.served_at

    def ticket(self, ticket_id: str) -> Ticket | None:
        try:
            ticket = self.source.ticket(ticket_id)
        except (DeletionUnproven, TicketUnreadable):
            self.unread.append(int(ticket_id))
            raise
        if ticket is not None:
            self.found.append(int(ticket_id))
        return ticket

    def blind_spot(self) -> str | None:
        return self.helpdesk.blind_spot()

    def confirm_rights(self) -> None:
        self.helpdesk.confirm_rights()


def read_archive(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    policy: ArchivePolicy,
    *,
    row_counts: RowCounts,
    run_id: str,
    only_look: bool,
) -> ArchiveReport | None:
    """Say how many tickets are in no list, and add those that the archive has, if it is read.

    Args:
        helpdesk: the helpdesk.
        warehouse: where to.
        policy: how it is asked.
        row_counts: tickets of the inventory, and the highest id of the table.
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
        why = f"the newest id, {newest}, is not one of consecutive numbers"
        stopped_by_it = why if archive.is_read else None
        return replace(NO_ARCHIVE, notice=archive.notice, stopped=stopped_by_it)
    if row_counts.highest <= MAX_NUMBER:
        newest = max(newest, row_counts.highest)
    report = ArchiveReport(newest, max(0, newest - row_counts.listed), archive.notice)
    if not archive.is_read or only_look:
        return report
    if stopped := _reason_against(helpdesk, archive):
        return replace(report, stopped=stopped)
    reader = _ArchiveReader(helpdesk, archive, warehouse, policy, run_id)
    asked_up_to, repaired = reader.read(newest)
    newest = max(newest, asked_up_to)
    return replace(
        report,
        newest=newest,
        not_listed=max(0, newest - row_counts.listed),
        asked_up_to=asked_up_to,
        repaired=repaired,
    )


def _reason_against(helpdesk: Helpdesk, archive: Archive) -> str | None:
    """Return why all ids would be asked for in vain."""
    if blind_spot := helpdesk.blind_spot():
        return blind_spot
    refused = None
    for ticket_id in PROBED:
        try:
            archive.ticket(ticket_id)
        except DeletionUnproven as error:
            return str(error).rstrip(".")
        except TicketForbidden as error:
            refused = str(error).rstrip(".")
        except TicketUnreadable:
            return None
        else:
            return None
    return refused


@dataclass(frozen=True, slots=True)
class _Block:
    """What became of some ids.

    Attributes:
        repaired: what became of those that were asked for.
        there: ids that have a row or a ticket.
        unread: ids that could not be read.
    """

    repaired: RepairReport
    there: tuple[int, ...]
    unread: tuple[int, ...]


class _ArchiveReader:
    """Asks for blocks of ids, and notes after each how far it has come."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        archive: Archive,
        warehouse: Warehouse,
        policy: ArchivePolicy,
        run_id: str,
    ) -> None:
        self._helpdesk = helpdesk
        self._archive = archive
        self._warehouse = warehouse
        self._store = warehouse.inventories()
        self._policy = policy
        self._run_id = run_id
        tickets = warehouse.ground().tickets
        created = tickets.created if tickets else None
        # A table that was made anew has none of what was added to the one before.
        self._table = f"{int(created.timestamp() * 1e6)}-" if created else "0-"

    def read(self, newest: int) -> tuple[int, RepairReport]:
        """Ask for every id up to the newest and for what follows, as long as time allows."""
        began = self._policy.monotonic()
        position, unread = self._noted()
        block = self._ask(unread)
        report, unread = block.repaired, block.unread
        while not self._is_late(began):
            is_ahead = position >= newest
            end = position + AHEAD if is_ahead else min(position + BLOCK, newest)
            block = self._ask(range(position + 1, end + 1))
            report += block.repaired
            if is_ahead and not block.there:
                break
            unread += block.unread
            # Ids that follow the last one may be given later.
            position = max(block.there + block.unread) if is_ahead else end
            self._note(position, unread)
        self._note(position, unread)
        return position, report

    def _is_late(self, began: float) -> bool:
        longest = self._policy.longest
        return longest is not None and self._policy.monotonic() - began >= longest.total_seconds()

    def _noted(self) -> tuple[int, tuple[int, ...]]:
        """Return up to which id all were asked for, and those of them that were not read."""
        mark = self._store.archive_mark() or ""
        noted = mark.removeprefix(self._table).split("-")
        if not mark.startswith(self._table) or not all(map(str.isdecimal, noted)):
            return 0, ()
        position, *unread = map(int, noted)
        return position, tuple(unread)

    def _note(self, position: int, unread: tuple[int, ...]) -> None:
        """Note how far it has come; not if more was not read than fits, so all is asked again."""
        mark = self._table + "-".join(map(str, (position, *unread)))
        if len(mark) <= MAX_MARK and mark != self._store.archive_mark():
            self._store.note_archive(mark)

    def _ask(self, numbers: Iterable[int]) -> _Block:
        ids = [str(number) for number in numbers]
        if not ids:
            return _Block(RepairReport(), (), ())
        known = self._warehouse.known_tickets(ids, run_id=self._run_id)
        source = _ArchivedTickets(self._helpdesk, self._archive)
        repaired = repair_tickets(
            source,
            self._warehouse,
            [ticket_id for ticket_id in ids if ticket_id not in known],
            run_id=self._run_id,
            webhooks=replace(self._policy.webhooks, enabled=False),
            concurrency=self._policy.concurrency,
        )
        return _Block(repaired, (*map(int, known), *source.found), tuple(sorted(source.unread)))
