"""The tables as data: columns, keys, guards, partitioning and clustering.

Column names `ticket_id` to `raw_json` are those of tables that exist in the field and are kept to
the letter; names with a leading underscore are ours. Pure description: no SQL, no client.
"""

from __future__ import annotations

from helpdesk_assets.model.reconciliation import DifferenceOutcome
from helpdesk_assets.model.webhooks import LedgerReason
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

STRING, INT64, FLOAT64 = ColumnType.STRING, ColumnType.INT64, ColumnType.FLOAT64
TIMESTAMP, JSON, BOOL = ColumnType.TIMESTAMP, ColumnType.JSON, ColumnType.BOOL

TICKET_COLUMNS = (
    Column("ticket_id", STRING, "The helpdesk's id, always text: ids may exceed 2^53."),
    Column("subject", STRING, "Subject line."),
    Column("status", STRING, "Status in the helpdesk's own words."),
    Column("priority", STRING, "Priority in the helpdesk's own words."),
    Column("assignee", STRING, "Who works on it: a name, an address or an id, as it came."),
    Column("createdTime", TIMESTAMP, "When the ticket was made. Never changes."),
    Column("modifiedTime", TIMESTAMP, "When this version came to be, by the helpdesk's clock."),
    Column("deletedTime", TIMESTAMP, "When the helpdesk deleted it; the row stays."),
    Column("raw_json", JSON, "The vendor's object, every field as it came."),
)
CONTENT_HASH = Column(
    "_content_hash", STRING, "Digest of raw_json; tells two versions of one tick apart."
)

TOMBSTONE = Column("_tombstone", BOOL, "True: only that the ticket has gone is known.")

RAW_TICKET_CHANGES = TableSpec(
    name="raw_ticket_changes",
    columns=(
        *TICKET_COLUMNS,
        CONTENT_HASH,
        Column("_run_id", STRING, "The run that stored this version first."),
        Column("_batch_id", STRING, "The batch that it came with."),
        Column("_fetched_at", TIMESTAMP, "The helpdesk's clock when it served this version."),
        Column("_seq", INT64, "Place in the batch, counted in order of arrival."),
        TOMBSTONE,
    ),
    key=("ticket_id", "modifiedTime", "_content_hash"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("_seq",),
    partition_by="_fetched_at",
    partition_unit="DAY",
    cluster_by=("ticket_id",),
    description="Every ticket version the API gave, once.",
)

MISSED_UPDATES = TableSpec(
    name="missed_updates",
    columns=(
        Column("ticket_id", STRING, "The ticket that changed."),
        Column("modifiedTime", TIMESTAMP, "When it changed, by the helpdesk's clock."),
        Column(
            "reason",
            STRING,
            "missed, late, not_subscribed or webhook_only, by the events of our receiver; missing "
            "or stale, by the tickets table alone.",
        ),
        Column("stored_modifiedTime", TIMESTAMP, "The version the table had; NULL when none."),
        Column("detected_at", TIMESTAMP, "The helpdesk's clock when the sync looked."),
        Column(
            "lag_seconds", FLOAT64, "Of a late event what it took; else how old the change was."
        ),
        Column("delivered_at", TIMESTAMP, "When a late event was committed."),
        Column("_content_hash", STRING, "Points at the version in raw_ticket_changes."),
        Column("_run_id", STRING, "The run that found it."),
        Column("_judged_by", STRING, "The run that gave it its reason."),
    ),
    key=("ticket_id", "modifiedTime"),
    merge_policy=MergePolicy.STATUS_TRANSITIONS,
    newest_first=("_content_hash",),
    write_once=("stored_modifiedTime", "detected_at", "_content_hash", "_run_id"),
    status="reason",
    transitions=((LedgerReason.MISSED.value, LedgerReason.LATE.value),),
    partition_by="detected_at",
    partition_unit="MONTH",
    cluster_by=("ticket_id",),
    description="Every change that no webhook delivered in time, once.",
)

TICKETS = TableSpec(
    name="tickets",
    columns=(
        *TICKET_COLUMNS,
        CONTENT_HASH,
        Column("_synced_at", TIMESTAMP, "When this version was stored here."),
        Column("_first_synced_at", TIMESTAMP, "When the ticket was first stored here."),
        Column("_synced_by", STRING, "Who stored this version: sync or webhook."),
        Column("_run_id", STRING, "The run that stored this version."),
    ),
    key=("ticket_id",),
    merge_policy=MergePolicy.NEWER_WINS,
    newest_first=("modifiedTime", "_seq"),
    version="modifiedTime",
    content_hash_column="_content_hash",
    deleted_column="deletedTime",
    write_once=("_first_synced_at",),
    tombstone_flag=TOMBSTONE.name,
    tombstone_keeps=("subject", "status", "priority", "assignee", "raw_json"),
    partition_by="createdTime",
    partition_unit="MONTH",
    cluster_by=("ticket_id",),
    description="The current state of every ticket, one row each.",
)

WEBHOOK_EVENTS = TableSpec(
    name="webhook_events",
    columns=(
        Column("event_id", STRING, "The vendor's id of the event, or a digest of it."),
        Column("ticket_id", STRING, "The ticket that it tells of."),
        Column("type", STRING, "What happened, in the vendor's words."),
        Column("modifiedTime", TIMESTAMP, "The version that tickets had at least, afterwards."),
        Column("deleted", BOOL, "That version says that the ticket has gone."),
        Column("received_at", TIMESTAMP, "When it first came, by the receiver's clock."),
        Column(
            "committed_at", TIMESTAMP, "When its version was durable in tickets, by that clock."
        ),
        Column("helpdesk", STRING, "The provider that sent it."),
        Column("_run_id", STRING, "The group of events that it was written with."),
    ),
    # The ticket is in it so that clustering prunes the MERGE, of which there may be one a second.
    key=("ticket_id", "event_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("received_at",),
    partition_by="received_at",
    partition_unit="DAY",
    cluster_by=("ticket_id",),
    description="Every webhook whose change is durable in tickets, once.",
)

TICKET_INVENTORY = TableSpec(
    name="ticket_inventory",
    columns=(
        Column("sweep_id", STRING, "The sweep that listed it."),
        Column("ticket_id", STRING, "The ticket."),
        Column(
            "modifiedTime", TIMESTAMP, "When it changed last, by the helpdesk; NULL: unreadable."
        ),
        Column("gone", BOOL, "The helpdesk lists it as one that was deleted or merged away."),
        Column("listed_at", TIMESTAMP, "The helpdesk's clock when the sweep began."),
    ),
    key=("sweep_id", "ticket_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("modifiedTime", "gone"),
    partition_by="listed_at",
    partition_unit="DAY",
    cluster_by=("sweep_id", "ticket_id"),
    description="Every ticket that the helpdesk lists and how new it is, by sweep, for some weeks.",
)

INVENTORY_DIFFERENCES = TableSpec(
    name="inventory_differences",
    columns=(
        Column("sweep_id", STRING, "The sweep that found it."),
        Column("ticket_id", STRING, "The ticket."),
        Column("kind", STRING, "absent, stale, gone or newer_here."),
        Column("helpdesk_modifiedTime", TIMESTAMP, "By the helpdesk; NULL: it does not list it."),
        Column("stored_modifiedTime", TIMESTAMP, "By the tickets table; NULL: it has no row."),
        Column("found_at", TIMESTAMP, "The helpdesk's clock when the sweep began."),
        Column("outcome", STRING, "found, then repaired, deleted, exists or left."),
        Column("_run_id", STRING, "The run that found it, and that repaired it."),
    ),
    key=("sweep_id", "ticket_id"),
    merge_policy=MergePolicy.STATUS_TRANSITIONS,
    newest_first=("helpdesk_modifiedTime",),
    write_once=("kind", "helpdesk_modifiedTime", "stored_modifiedTime", "found_at", "_run_id"),
    status="outcome",
    transitions=tuple(
        (DifferenceOutcome.FOUND.value, outcome.value)
        for outcome in DifferenceOutcome
        if outcome != DifferenceOutcome.FOUND
    ),
    partition_by="found_at",
    partition_unit="MONTH",
    cluster_by=("sweep_id", "ticket_id"),
    description="Every ticket in which the tickets table differed from a sweep, and what became "
    "of it.",
)

SYNC_STATE = TableSpec(
    name="sync_state",
    columns=(
        Column("sync_name", STRING, "Which sync."),
        Column("watermark", TIMESTAMP, "Changes up to here are durable; NULL: no window yet."),
        Column("cursor", STRING, "The vendor's own cursor, where it has one."),
        Column("version", INT64, "Counts the advances; compare-and-set is on it."),
        Column("window_since", TIMESTAMP, "Window of the last run that closed."),
        Column("window_until", TIMESTAMP, "Window of the last run that closed."),
        Column("run_id", STRING, "The last run that closed."),
        Column("reason", STRING, "Why that run did what it did."),
        Column("closed_at", TIMESTAMP, "When it closed, by the warehouse's clock."),
        Column("facts", STRING, "JSON: what the warehouse counted when it closed."),
        Column("reading", STRING, "JSON: what that run asked of the helpdesk."),
        Column("recent_runs", STRING, "JSON: the last runs that closed, newest first."),
        Column(
            "unfinished", STRING, "JSON: what is durable of a long reading that has not closed."
        ),
    ),
    key=("sync_name",),
    merge_policy=MergePolicy.INSERT_ONLY,
    description="How far each sync has come.",
)

SYNC_RUNS = TableSpec(
    name="sync_runs",
    columns=(
        Column("sync_name", STRING, "Which sync."),
        Column("version", INT64, "The version that the state row got by it."),
        Column("run_id", STRING, "The run."),
        Column("mode", STRING, "incremental, full, or by_hand: a person has set the watermark."),
        Column("reason", STRING, "Why it did what it did."),
        Column("window_since", TIMESTAMP, "What it read; NULL: from the beginning."),
        Column("window_until", TIMESTAMP, "What it read; NULL: nothing."),
        Column("watermark", TIMESTAMP, "The watermark after it."),
        Column("cursor", STRING, "The vendor's own cursor after it, where it has one."),
        Column("closed_at", TIMESTAMP, "When it closed, by the warehouse's clock."),
        Column("rows_read", INT64, "Rows that the helpdesk gave, repeated ones among them."),
        Column("pages", INT64, "Pages that they came in."),
        Column("api_calls", INT64, "Calls made to the helpdesk."),
        Column("tickets", INT64, "Distinct tickets among the rows."),
        Column("inserted", INT64, "Of these: new to the tickets table."),
        Column("updated", INT64, "Newer than what the table had."),
        Column("unchanged", INT64, "There already."),
        Column("rejected", INT64, "Older than what the table had."),
        Column("missed", INT64, "Changes that no webhook had delivered."),
    ),
    # The run is in it, since versions begin anew where a state row was lost.
    key=("sync_name", "version", "run_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("closed_at",),
    partition_by="closed_at",
    partition_unit="MONTH",
    description="Every advance of a watermark, once. The state can be made again from it.",
)

# What every sync makes sure of. WEBHOOK_EVENTS is the receiver's to make: its being there tells the
# sync that there is a receiver.
SYNC_TABLES = (RAW_TICKET_CHANGES, MISSED_UPDATES, TICKETS, SYNC_STATE, SYNC_RUNS)
# What a reconciliation makes beside them.
RECONCILIATION_TABLES = (TICKET_INVENTORY, INVENTORY_DIFFERENCES)
# The tables that a large batch may be staged for.
STAGED_TABLES = tuple(spec.name for spec in (*SYNC_TABLES, *RECONCILIATION_TABLES))
