"""Values as the UI shows them: times, and lists as Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from helpdesk_assets.model.reconciliation import DifferenceCount
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.model.webhooks import MissedUpdate, WebhookDay

# Rows of a Markdown table. The tables in BigQuery have all rows; these are for reading in the UI.
MAX_TABLE_ROWS = 50
# Also what becomes a link without any brackets.
_MARKUP = re.compile(r"[\\`*\[\]<>~&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def timestamp(at: datetime | None) -> dg.MetadataValue[Any]:
    """A time, or null."""
    return dg.MetadataValue.null() if at is None else dg.MetadataValue.timestamp(at)


def missed_table(missed: Sequence[MissedUpdate], total: int) -> dg.MetadataValue[Any]:
    """Missed updates by ticket. `total` counts all, also those that are not in `missed`."""
    rows = (
        (m.ticket_id, m.reason, f"{m.lag_seconds:.0f}", f"{m.modified_time:%Y-%m-%d %H:%M:%S}")
        for m in missed
    )
    return _table(("ticket", "reason", "lag in s", "changed at (UTC)"), rows, total)


def bad_table(bad: Sequence[BadTicket]) -> dg.MetadataValue[Any]:
    """Tickets that could not be read, and why."""
    rows = ((ticket.ticket_id, ticket.field, ticket.problem) for ticket in bad)
    return _table(("ticket", "field", "problem"), rows, len(bad))


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], total: int
) -> dg.MetadataValue[Any]:
    body = [_table_row(row) for row in rows][:MAX_TABLE_ROWS]
    if not body:
        return dg.MetadataValue.md("none")
    more = [f"\n… and {total - len(body)} more"] if total > len(body) else []
    return dg.MetadataValue.md(
        "\n".join([_table_row(header), "|---" * len(header) + "|", *body, *more])
    )


def _table_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Escape Markdown: a ticket's id may hold anything, also a link or a picture."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.replace("|", "/").split()))


def days_table(days: Sequence[WebhookDay]) -> dg.MetadataValue[Any]:
    """Counts and latency percentiles per day, newest first."""
    header = ("day (UTC)", "delivered", "late", "missed", "share", "p50 s", "p95 s", "p99 s")
    rows = (
        (
            day.day.isoformat(),
            f"{day.delivered:,}",
            f"{day.late:,}",
            f"{day.missed:,}",
            f"{day.missed_share:.1%}",
            *(
                "" if seconds is None else f"{seconds:.1f}"
                for seconds in (day.latency_p50, day.latency_p95, day.latency_p99)
            ),
        )
        for day in reversed(days)
    )
    return _table(header, rows, len(days))


def differences_table(found: Sequence[DifferenceCount]) -> dg.MetadataValue[Any]:
    """Differences by kind and outcome, with some ticket ids."""
    rows = (
        (each.kind, each.outcome, f"{each.count:,}", ", ".join(each.ticket_ids)) for each in found
    )
    return _table(("kind", "outcome", "tickets", "some of them"), rows, len(found))
