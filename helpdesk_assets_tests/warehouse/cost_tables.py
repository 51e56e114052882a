"""The tables of docs/bigquery-cost.md, computed; run as a module, it prints them.

A test compares the page with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.warehouse.billed_bytes import Bill
from helpdesk_assets_tests.warehouse.paper_desk import (
    PaperDesk,
    batch_of,
    brought,
    desk,
    of_everything,
    pending,
    unbounded,
)

USD_PER_BYTE = 6.25 / 1024**4
SIZES = (52_000, 1_000_000, 5_000_000, 10_000_000, 50_000_000)
MIDDLE = 5_000_000
CHANGES = 50
RUNS_A_MONTH, SWEEPS_A_MONTH = 360, 4
RATES = (0.02, 0.1, 1, 10)
DRAIN_SECONDS, DAY_SECONDS, MONTH_SECONDS = 300, 86_400, 30 * 86_400
EVENT_BYTES = 5_000
CHUNK = 5_000
FREE_APPENDS, USD_PER_APPENDED_BYTE = 2 * 1024**4, 0.025 / 1024**3


@dataclass(frozen=True, slots=True)
class Command:
    """A kind of run: what it is called, and its statements over a helpdesk of a size."""

    name: str
    statements: Callable[[int], Sequence[Bill]]
    parts: tuple[str, ...]

    def bill(self, tickets: int) -> Bill:
        """Return what all its statements bill."""
        return _bill(self, tickets)


@cache
def _bill(command: Command, tickets: int) -> Bill:
    return total(command.statements(tickets))


def total(bills: Iterable[Bill]) -> Bill:
    """Return the sum of bills."""
    return sum(bills, Bill())


def _over(
    tickets: int,
    of: Callable[[PaperDesk], Sequence[Query]],
    *,
    staged: int = 0,
    is_empty: bool = False,
) -> list[Bill]:
    paper = PaperDesk(desk(tickets, staged=staged, is_empty=is_empty))
    return paper.bills(of(paper))


WRITING = ("raw_ticket_changes", "missed_updates", "tickets", "closing")
SHOWING = ("sync_runs", "missed_updates", "webhook_events")
LOADING = ("raw_ticket_changes", "tickets", "closing")
COMMANDS = (
    Command(
        "quiet run",
        lambda n: _over(n, lambda d: [d.close(batch_of(CHANGES), is_repeated=True)]),
        ("closing",),
    ),
    Command(
        f"run of {CHANGES} changes",
        lambda n: _over(n, lambda d: d.write(batch_of(CHANGES))),
        WRITING,
    ),
    Command(
        "first load",
        lambda n: _over(n, lambda d: d.write(of_everything(n)), staged=n, is_empty=True),
        LOADING,
    ),
    Command(
        "full load again",
        lambda n: _over(n, lambda d: d.write(of_everything(n)), staged=n),
        LOADING,
    ),
    Command(
        f"repair of {CHANGES} tickets",
        lambda n: _over(n, lambda d: d.repair(batch_of(CHANGES)), staged=CHANGES),
        ("raw_ticket_changes", "tickets", "counting"),
    ),
    Command(
        "reconciliation",
        lambda n: _over(n, lambda d: d.reconcile(), staged=n),
        ("ticket_inventory", "sizes", "inventory_differences", "counting"),
    ),
    Command("status", lambda n: _over(n, lambda d: d.status()), SHOWING),
)
QUIET, CHANGED, FIRST, FULL, REPAIR, SWEEP, STATUS = COMMANDS


def month(tickets: int) -> Bill:
    """Return what twelve runs a day and a reconciliation a week bill in a month."""
    return CHANGED.bill(tickets) * RUNS_A_MONTH + SWEEP.bill(tickets) * SWEEPS_A_MONTH


def unbounded_month(tickets: int) -> Bill:
    """Return what the same runs would bill if their statements named no bounds."""
    bills = _over(tickets, lambda d: d.write(unbounded(batch_of(CHANGES))))
    sweeps = SWEEP.bill(tickets) * SWEEPS_A_MONTH
    return total(Bill(each.high, each.high) for each in bills) * RUNS_A_MONTH + sweeps


def drains(rate: float, tickets: int, *, seconds: int = DRAIN_SECONDS) -> Bill:
    """Return what draining so many events a second bills in a month.

    From hints to events that bring their ticket, which is read by a query of its own.
    """
    paper = PaperDesk(desk(tickets, events_a_day=rate * DAY_SECONDS))
    waiting = max(1, round(rate * seconds))
    merges = ceil(waiting / CHUNK)
    looking, reading = paper.bills(
        [pending(paper.dataset), brought(paper.dataset, ceil(waiting / merges))]
    )
    look = looking + Bill(0, reading.high) * merges
    merge = total(paper.bills(paper.merge_webhooks(round(waiting / merges))))
    return (look + merge * merges) * (MONTH_SECONDS / seconds)


def appends(rate: float) -> float:
    """Return the dollars that appending so many events a second costs in a month."""
    return max(0.0, rate * MONTH_SECONDS * EVENT_BYTES - FREE_APPENDS) * USD_PER_APPENDED_BYTE


def dollars(amount: float) -> str:
    """Return a price with two digits that count."""
    if amount < 0.001:
        return "under $0.001" if amount else "$0"
    digits = max(0, 1 - _exponent(amount))
    return f"${round(amount, 1 - _exponent(amount)):,.{digits}f}"


def _exponent(amount: float) -> int:
    return int(f"{amount:e}".partition("e")[2])


def price(bill: Bill) -> str:
    """Return what a bill costs: from, to."""
    low, high = dollars(bill.low * USD_PER_BYTE), dollars(bill.high * USD_PER_BYTE)
    return low if low == high else f"{low} to {high}"


def size(bill: Bill) -> str:
    """Return the bytes of a bill in MB or GB: from, to."""
    low, high = (f"{each / 1e9:,.2f}" for each in (bill.low, bill.high))
    return f"{low} GB" if low == high else f"{low} to {high} GB"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_statement() -> str:
    """Return each statement of each command at five million tickets."""
    rows = [
        (command.name, part, size(bill), price(bill))
        for command in COMMANDS
        for part, bill in zip(command.parts, command.statements(MIDDLE), strict=True)
    ]
    return table(("command", "statement on", "billed", "price"), rows)


def by_size() -> str:
    """Return each command, and a month, by the number of tickets."""
    rows = [[each.name, *(price(each.bill(tickets)) for tickets in SIZES)] for each in COMMANDS]
    rows.append(["**a month**", *(price(month(tickets)) for tickets in SIZES)])
    rows.append(["a month without bounds", *(price(unbounded_month(each)) for each in SIZES)])
    return table(("tickets", *(f"{tickets:,}" for tickets in SIZES)), rows)


def by_rate() -> str:
    """Return a month of webhooks by events a second."""
    rows = [
        [
            f"{rate:g}",
            dollars(appends(rate)),
            price(drains(rate, 52_000)),
            price(drains(rate, MIDDLE)),
            price(drains(rate, MIDDLE, seconds=3_600)),
        ]
        for rate in RATES
    ]
    head = (
        "events a second",
        "appending",
        "draining every 5 minutes, 52,000 tickets",
        "5,000,000 tickets",
        "every hour, 5,000,000 tickets",
    )
    return table(head, rows)


TABLES = {"statements": by_statement, "sizes": by_size, "webhooks": by_rate}

if __name__ == "__main__":
    for name, made in TABLES.items():
        print(f"<!-- {name} -->\n{made()}\n")  # noqa: T201
