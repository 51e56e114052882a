"""How webhooks did day by day, read from the ledger and from what shows delivery."""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhook_events import Outcome
from helpdesk_assets.model.webhooks import JudgedBy, WebhookDay
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.statements import webhook_days
from helpdesk_assets.warehouse.stores.webhook_inbox import ensure_event_tables

# Rows of each table, of which one that is about a ticket is looked for.
MAX_LOOKED_AT = 1_000


def read_days(
    client: BigQueryClient,
    state: SyncState | None,
    since: datetime,
    judging: Judging,
    *,
    run_id: str,
) -> tuple[WebhookDay, ...]:
    """Return how webhooks did on each day since then; empty if nothing is judged.

    Args:
        client: the dataset.
        state: the state row; it knows runs that the run log lacks.
        since: the first day, UTC.
        judging: by what webhooks are judged.
        run_id: names the job.
    """
    schema = Schema(client)
    if judging.by is JudgedBy.NOTHING or not schema.exists(tables.MISSED_UPDATES):
        return ()
    if judging.is_by_events:
        ensure_event_tables(schema)
        query = webhook_days.days_by_events(client.dataset, since)
    else:
        runs = known_runs(state) if state else ()
        recent = tuple(run.run_id for run in runs if run.judged_by is JudgedBy.TABLE)
        grace = judging.policy.grace
        query = webhook_days.days_by_table(client.dataset, since, grace, recent)
    outcome = client.run(query, run_id=run_id, step="webhook_health")
    return tuple(webhook_days.webhook_day_from_row(row) for row in outcome.rows)


def has_delivered_event(client: BigQueryClient, schema: Schema) -> bool:
    """Return whether any event has come that is about a ticket; costs no query job.

    A vendor's test is about none. It is refused when it is drained, and does not begin the judging.
    A few rows are read: in use, the first outcome says it.
    """
    if not schema.exists(tables.WEBHOOK_EVENTS):
        return False
    refused: set[tuple[str, str]] = set()
    if schema.exists(tables.WEBHOOK_OUTCOMES):
        columns = ["ticket_id", "event_id", "outcome"]
        for row in client.list_rows(tables.WEBHOOK_OUTCOMES.name, columns, MAX_LOOKED_AT):
            if row["outcome"] == Outcome.MERGED:
                return True
            refused.add((row["ticket_id"], row["event_id"]))
    events = client.list_rows(tables.WEBHOOK_EVENTS.name, ["ticket_id", "event_id"], MAX_LOOKED_AT)
    return any((row["ticket_id"], row["event_id"]) not in refused for row in events)
