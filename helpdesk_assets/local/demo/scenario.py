"""The acts of the demo: both syncs, and what happens between them.

Imports Dagster, google and pandas, seconds of it, so it is imported while the stand-ins start.
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import dagster as dg
from rich.console import Console

from helpdesk_assets.errors import RetryableError
from helpdesk_assets.local.demo import report
from helpdesk_assets.local.demo.compare import COLUMNS, Comparison, compare
from helpdesk_assets.local.demo.environment import DemoEnvironment
from helpdesk_assets.local.demo.job import run_job
from helpdesk_assets.local.demo.progress import load_bar
from helpdesk_assets.local.demo.results import Changes, DemoResult
from helpdesk_assets.settings import load_settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.connection import connect

CHANGE_COUNT = 40
# By place in time. The first of them changes long before webhooks that do arrive, so that
# MAX(modifiedTime) of the table runs past it; the other two are the newest changes of all.
LOST_POSITIONS = (9, 38, 39)


def run_scenario(
    environment: DemoEnvironment, tickets: int, spread: timedelta, wait: timedelta, console: Console
) -> DemoResult:
    """Everything, told as it happens.

    Args:
        stage: the stand-ins, in their environment.
        tickets: how many the helpdesk has.
        spread: over how long the changes happen, by the helpdesk's clock.
        wait: how long after them the second sync runs, by the same clock.
        console: where the story is told.
    """
    # Never closed: it is memory alone, and a job that was interrupted may still write to it.
    instance = dg.DagsterInstance.ephemeral()
    report.step(console, "First sync, by the Dagster job helpdesk_sync: reads every ticket.")
    with load_bar(console, environment.helpdesk_url, tickets):
        first = run_job(instance, environment.admin_client)
    changes = change_tickets(environment, spread)
    report.step(
        console,
        f"{len(changes.lost) + len(changes.delivered)} tickets change. Webhooks write "
        f"{len(changes.delivered)} into the table, {len(changes.lost)} get lost.",
    )
    # Nobody waits for the grace period to pass: the helpdesk's clock is moved.
    environment.admin_client.advance(wait.total_seconds())
    report.step(console, "Second sync: asks for what changed since the watermark.")
    second = run_job(instance, environment.admin_client)
    report.step(console, "Compare the table with the helpdesk, ticket by ticket.")
    return DemoResult(tickets, first, changes, second, compare_table(environment))


def change_tickets(environment: DemoEnvironment, spread: timedelta) -> Changes:
    """Change tickets at moments of their own, and lose some of the webhooks that tell of it.

    Raises:
        TryAgainLater: the receiver did not take the others.
    """
    step = spread.total_seconds() / CHANGE_COUNT
    changed = []
    for position, ticket_id in enumerate(_sample_ids(environment, CHANGE_COUNT)):
        if position in LOST_POSITIONS:
            environment.admin_client.send_webhooks(lose=1)
        changed += environment.admin_client.change(ids=[ticket_id], spread_seconds=step)
    delivery_counts = environment.admin_client.webhook_status()
    if delivery_counts.answers != {"200": CHANGE_COUNT - len(LOST_POSITIONS)}:
        raise RetryableError(
            f"The receiver did not take all webhooks: {dict(delivery_counts.answers)}."
        )
    lost = tuple(changed[position] for position in LOST_POSITIONS)
    return Changes(lost, tuple(ticket for ticket in changed if ticket not in lost))


def _sample_ids(environment: DemoEnvironment, count: int) -> list[str]:
    """Tickets of all ages, none twice."""
    ids = [ticket.ticket_id for ticket in environment.admin_client.truth()]
    return ids[:: len(ids) // count][:count]


def compare_table(environment: DemoEnvironment) -> Comparison:
    with closing(connect(load_settings())) as warehouse:
        rows = warehouse.list_rows(tables.TICKETS.name, COLUMNS)
        return compare(environment.admin_client.truth(raw_ticket=True), rows)
