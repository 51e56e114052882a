"""The tables between receiver and drain as data: appended to, and never changed.

A row may stand there more than once: who reads them counts each key once. Must not know SQL or a
client.
"""

from __future__ import annotations

from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

STRING, INT64 = ColumnType.STRING, ColumnType.INT64
TIMESTAMP, BOOL = ColumnType.TIMESTAMP, ColumnType.BOOL

# Vendors send an event again for a week at most; charts look back a month.
EVENT_DAYS = 35

WEBHOOK_EVENTS = TableSpec(
    name="webhook_events",
    columns=(
        Column("event_id", STRING, "The vendor's id of the event, or a digest of it."),
        Column("ticket_id", STRING, "The ticket that the event is about."),
        Column("type", STRING, "The type of event, as the vendor names it."),
        Column(
            "kind",
            STRING,
            "ticket: it brings its ticket. hint: it only names it. deletion: it only says that the "
            "ticket is deleted.",
        ),
        Column(
            "modifiedTime", TIMESTAMP, "When the change happened; NULL: the event does not say."
        ),
        Column("deleted", BOOL, "True: the event says that the ticket is deleted."),
        Column("ticket", STRING, "JSON: the version that the event brings."),
        Column("received_at", TIMESTAMP, "When it arrived, by the receiver's clock."),
        Column("committed_at", TIMESTAMP, "When it was appended, by the receiver's clock."),
        Column("helpdesk", STRING, "The provider that sent it."),
    ),
    key=("ticket_id", "event_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("received_at",),
    partition_by="received_at",
    partition_unit="DAY",
    partition_days=EVENT_DAYS,
    cluster_by=("ticket_id",),
    description="Every verified webhook event, at least once, as it arrived, for 35 days.",
)

WEBHOOK_OUTCOMES = TableSpec(
    name="webhook_outcomes",
    columns=(
        Column("event_id", STRING, "The event, as in webhook_events."),
        Column("ticket_id", STRING, "Its ticket."),
        Column("received_at", TIMESTAMP, "When it arrived, as in webhook_events."),
        Column("outcome", STRING, "merged, unknown_ticket or not_stored."),
        Column("modifiedTime", TIMESTAMP, "The version that was merged; NULL: none."),
        Column("reason", STRING, "Why it was not merged."),
        Column("merged_at", TIMESTAMP, "When that was known, by the clock of who merged."),
        Column("_run_id", STRING, "The run that merged it."),
    ),
    key=("ticket_id", "event_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("merged_at",),
    partition_by="received_at",
    partition_unit="DAY",
    partition_days=EVENT_DAYS,
    cluster_by=("ticket_id",),
    description="What became of each webhook event, at least once, for 35 days. An event without "
    "an outcome still waits.",
)

WEBHOOK_REFUSALS = TableSpec(
    name="webhook_refusals",
    columns=(
        Column("refusal_id", STRING, "Digest of event, status and reason."),
        Column("ticket_id", STRING, "The ticket; NULL: the post names none that can be read."),
        Column("event_id", STRING, "The vendor's id of the event; NULL: it has none."),
        Column("type", STRING, "The type of event, as the vendor names it."),
        Column("status", INT64, "What the vendor was answered: 400, 422 or 503."),
        Column("reason", STRING, "Why the event was not stored."),
        Column("received_at", TIMESTAMP, "When it was first refused so, by the receiver's clock."),
        Column("helpdesk", STRING, "The provider that sent it."),
    ),
    key=("refusal_id",),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("received_at",),
    partition_by="received_at",
    partition_unit="DAY",
    partition_days=EVENT_DAYS,
    cluster_by=("refusal_id",),
    description="Every verified webhook that was not stored, at least once for each reason.",
)
