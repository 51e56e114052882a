"""The demo's scenario: two syncs, and changes with lost webhooks between them.

Importing this module imports Dagster, google and pandas, which takes seconds, so it is imported
while the stand-ins start.
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
# Positions in order of time. The first changes long before webhooks that arrive, so that the
# table's MAX(modifiedTime) passes it; the other two are the newest changes.
LOST_POSITIONS = (9, 38, 39)


def run_scenario(
    environment: DemoEnvironment, tickets: int, spread: timedelta, wait: timedelta, console: Console
) -> DemoResult:
    """Run the scenario, printing each step.

    Args:
        environment: the running stand-ins.
        tickets: number of the helpdesk's tickets.
        spread: time span of the changes, by the helpdesk's clock.
        wait: time from the changes to the second sync, by the same clock.
        console: the demo's output.
    """
    # Never closed: it is in memory only, and an interrupted job may still write to it.
    instance = dg.DagsterInstance.ephemeral()
    report.step(console, "First sync: the Dagster job helpdesk_sync reads every ticket.")
    with load_bar(console, environment.helpdesk_url, tickets):
        first = run_job(instance, environment.admin_client)
    changes = change_tickets(environment, spread)
    report.step(
        console,
        f"{len(changes.lost) + len(changes.delivered)} tickets have changed. Webhooks wrote "
        f"{len(changes.delivered)} of them into the table; {len(changes.lost)} webhooks got lost.",
    )
    # Moving the helpdesk's clock avoids waiting for the grace period.
    environment.admin_client.advance(wait.total_seconds())
    report.step(console, "Second sync: the job reads what has changed since the watermark.")
    second = run_job(instance, environment.admin_client)
    report.step(console, "Comparing the table with the helpdesk, ticket by ticket.")
    return DemoResult(tickets, first, changes, second, compare_table(environment))


def change_tickets(environment: DemoEnvironment, spread: timedelta) -> Changes:
    """Change tickets at different times, and lose some of the webhooks.

    Raises:
        RetryableError: the receiver did not accept the other webhooks.
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
            f"The receiver did not accept all webhooks: {dict(delivery_counts.answers)}. Run the "
            "demo again."
        )
    lost = tuple(changed[position] for position in LOST_POSITIONS)
    return Changes(lost, tuple(ticket for ticket in changed if ticket not in lost))


def _sample_ids(environment: DemoEnvironment, count: int) -> list[str]:
    """Return distinct tickets of all ages."""
    ids = [ticket.ticket_id for ticket in environment.admin_client.truth()]
    return ids[:: len(ids) // count][:count]


def compare_table(environment: DemoEnvironment) -> Comparison:
    """Compare the tickets table with the helpdesk."""
    with closing(connect(load_settings())) as warehouse:
        rows = warehouse.list_rows(tables.TICKETS.name, COLUMNS)
        return compare(environment.admin_client.truth(raw_ticket=True), rows)
