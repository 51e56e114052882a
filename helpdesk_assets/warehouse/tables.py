"""The tables as data: columns, keys, guards, partitioning and clustering.

The columns `ticket_id` to `raw_json` have the names that older syncs use, so that their tables can
be adopted. Names with a leading underscore are added by this project. The tables between receiver
and drain are in `webhook_tables` and have their names here as well. Must not know SQL or a client.
"""

from __future__ import annotations

from helpdesk_assets.model.reconciliation import DifferenceOutcome
from helpdesk_assets.model.webhooks import LedgerReason
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec
from helpdesk_assets.warehouse.webhook_tables import WEBHOOK_EVENTS as WEBHOOK_EVENTS
from helpdesk_assets.warehouse.webhook_tables import WEBHOOK_OUTCOMES as WEBHOOK_OUTCOMES
from helpdesk_assets.warehouse.webhook_tables import WEBHOOK_REFUSALS as WEBHOOK_REFUSALS

STRING, INT64, FLOAT64 = ColumnType.STRING, ColumnType.INT64, ColumnType.FLOAT64
TIMESTAMP, JSON, BOOL = ColumnType.TIMESTAMP, ColumnType.JSON, ColumnType.BOOL

TICKET_COLUMNS = (
    Column("ticket_id", STRING, "The helpdesk's id, always text: ids may exceed 2^53."),
    Column("subject", STRING, "Subject line."),
    Column("status", STRING, "Status, as the helpdesk names it."),
    Column("priority", STRING, "Priority, as the helpdesk names it."),
    Column("assignee", STRING, "Name, address or id of the assignee, as the helpdesk gives it."),
    Column("createdTime", TIMESTAMP, "When the ticket was created. Never changes."),
    Column("modifiedTime", TIMESTAMP, "When this version was written, by the helpdesk's clock."),
    Column("deletedTime", TIMESTAMP, "When the helpdesk deleted the ticket; the row stays."),
    Column("raw_json", JSON, "The vendor's object with every field."),
)
CONTENT_HASH = Column(
    "_content_hash", STRING, "Digest of raw_json; distinguishes versions with equal modifiedTime."
)

TOMBSTONE = Column("_tombstone", BOOL, "True: known to be deleted, without the other columns.")
READ_AT = Column(
    "_read_at", TIMESTAMP, "By the helpdesk's clock: when it returned what the row holds."
)
# Long enough to look up the previous inventory when the next one differs.
INVENTORY_DAYS = 16
# Only in the source of a MERGE: the ticket existed then. Lists may show a deleted ticket a while.
ALIVE_AT = Column("_alive_at", TIMESTAMP)

RAW_TICKET_CHANGES = TableSpec(
    name="raw_ticket_changes",
    columns=(
        *TICKET_COLUMNS,
        CONTENT_HASH,
        Column("_run_id", STRING, "The run that first stored this version."),
        Column("_batch_id", STRING, "The batch of this version."),
        Column("_fetched_at", TIMESTAMP, "The helpdesk's clock when it returned this version."),
        Column("_seq", INT64, "Position in the batch, in order of arrival."),
        TOMBSTONE,
    ),
    key=("ticket_id", "modifiedTime", "_content_hash"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("_seq",),
    partition_by="_fetched_at",
    partition_unit="DAY",
    cluster_by=("ticket_id",),
    description="Every ticket version that the API returned, once.",
)

MISSED_UPDATES = TableSpec(
    name="missed_updates",
    columns=(
        Column("ticket_id", STRING, "The ticket that changed."),
        Column("modifiedTime", TIMESTAMP, "When it changed, by the helpdesk's clock."),
        Column(
            "reason",
            STRING,
            "Judged by the receiver's events: missed, late, not_subscribed or webhook_only. Judged "
            "by the tickets table alone: missing, stale or not_subscribed.",
        ),
        Column("stored_modifiedTime", TIMESTAMP, "The version in tickets; NULL: no row."),
        Column("detected_at", TIMESTAMP, "The helpdesk's clock when the sync judged the change."),
        Column(
            "lag_seconds",
            FLOAT64,
            "Late: time from the change to the event's commit. Otherwise: age of the change.",
        ),
        Column("delivered_at", TIMESTAMP, "When a late event was committed."),
        Column("_content_hash", STRING, "The version's digest in raw_ticket_changes."),
        Column("_run_id", STRING, "The run that recorded the row."),
        Column("_judged_by", STRING, "The run that set the reason."),
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
        READ_AT,
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
    read_at_column=READ_AT.name,
    deleted_column="deletedTime",
    alive_at_column=ALIVE_AT.name,
    tombstone_flag=TOMBSTONE.name,
    write_once=("_first_synced_at",),
    stamps=("_synced_at", "_synced_by", "_run_id"),
    partition_by="createdTime",
    partition_unit="MONTH",
    cluster_by=("ticket_id",),
    description="The current state of every ticket, one row each.",
)

TICKET_INVENTORY = TableSpec(
    name="ticket_inventory",
    columns=(
        Column("sweep_id", STRING, "The inventory that lists the ticket."),
        Column("ticket_id", STRING, "The ticket."),
        Column(
            "modifiedTime", TIMESTAMP, "Its last change, by the helpdesk's clock; NULL: unreadable."
        ),
        Column("gone", BOOL, "The helpdesk lists it as deleted or merged into another."),
        Column("listed_at", TIMESTAMP, "The helpdesk's clock when the inventory began."),
    ),
    key=("sweep_id", "ticket_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("modifiedTime", "gone"),
    partition_by="listed_at",
    partition_unit="DAY",
    partition_days=INVENTORY_DAYS,
    cluster_by=("sweep_id", "ticket_id"),
    description="Every ticket that the helpdesk lists and its last change, by inventory, for 16 "
    "days.",
)

INVENTORY_DIFFERENCES = TableSpec(
    name="inventory_differences",
    columns=(
        Column("sweep_id", STRING, "The inventory that showed the difference."),
        Column("ticket_id", STRING, "The ticket."),
        Column("kind", STRING, "absent, stale, gone, dead_here or newer_here."),
        Column("helpdesk_modifiedTime", TIMESTAMP, "At the helpdesk; NULL: not listed there."),
        Column("stored_modifiedTime", TIMESTAMP, "In the tickets table; NULL: no row."),
        Column("found_at", TIMESTAMP, "The helpdesk's clock when the inventory began."),
        Column("outcome", STRING, "found, then repaired, deleted, exists or left."),
        Column("_run_id", STRING, "The run that found and repaired the difference."),
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
    description="Every ticket in which the tickets table differed from an inventory, and the "
    "outcome.",
)

SYNC_STATE = TableSpec(
    name="sync_state",
    columns=(
        Column("sync_name", STRING, "Which sync."),
        Column("watermark", TIMESTAMP, "Changes up to this time are durable; NULL: no window yet."),
        Column("cursor", STRING, "The vendor's cursor, if it has one."),
        Column("version", INT64, "Grows by one per commit; compared by compare-and-set."),
        Column("window_since", TIMESTAMP, "Start of the window of the last committed run."),
        Column("window_until", TIMESTAMP, "End of the window of the last committed run."),
        Column("run_id", STRING, "The last committed run."),
        Column("reason", STRING, "Mode of that run and the reason for it."),
        Column("closed_at", TIMESTAMP, "When it committed, by the warehouse's clock."),
        Column("facts", STRING, "JSON: what was counted in the tables when it committed."),
        Column("reading", STRING, "JSON: what that run read from the helpdesk."),
        Column("recent_runs", STRING, "JSON: the last committed runs, newest first."),
        Column("unfinished", STRING, "JSON: the checkpoint of an extraction not yet committed."),
        Column("full_load_at", TIMESTAMP, "The helpdesk's clock when the last full load began."),
        Column("provider", STRING, "The helpdesk whose tickets these are."),
        Column("account", STRING, "Digest of its provider, host and organisation."),
        Column("mapping", INT64, "Version of how the helpdesk's fields fill the columns."),
        Column("tickets_created", TIMESTAMP, "When the table tickets of that run was created."),
        Column("fence", INT64, "Grows when a writer that gave no sign of life is replaced."),
    ),
    key=("sync_name",),
    merge_policy=MergePolicy.INSERT_ONLY,
    description="How far each sync has come.",
)

SYNC_RUNS = TableSpec(
    name="sync_runs",
    columns=(
        Column("sync_name", STRING, "Which sync."),
        Column("version", INT64, "The state row's version after the run."),
        Column("run_id", STRING, "The run."),
        Column("mode", STRING, "incremental, full, or by_hand: a person set the watermark."),
        Column("reason", STRING, "The reason for this mode."),
        Column("window_since", TIMESTAMP, "Start of the window; NULL: from the beginning."),
        Column("window_until", TIMESTAMP, "End of the window; NULL: nothing was read."),
        Column("watermark", TIMESTAMP, "The watermark after the run."),
        Column("cursor", STRING, "The vendor's cursor after the run, if it has one."),
        Column("closed_at", TIMESTAMP, "When it committed, by the warehouse's clock."),
        Column("rows_read", INT64, "Rows from the helpdesk, including repeated ones."),
        Column("pages", INT64, "Pages read."),
        Column("api_calls", INT64, "Calls made to the helpdesk."),
        Column("tickets", INT64, "Distinct tickets among the rows."),
        Column("inserted", INT64, "Tickets new to the tickets table."),
        Column("updated", INT64, "Tickets newer than in the table."),
        Column("unchanged", INT64, "Tickets that the table already had."),
        Column("rejected", INT64, "Tickets older than in the table."),
        Column("missed", INT64, "Changes that no webhook delivered."),
        Column("judged_by", STRING, "What missed is judged by: events, table or nothing."),
    ),
    # Includes the run, since versions start again if the state row is lost.
    key=("sync_name", "version", "run_id"),
    merge_policy=MergePolicy.INSERT_ONLY,
    newest_first=("closed_at",),
    partition_by="closed_at",
    partition_unit="MONTH",
    description="Every commit of a sync, once. The state can be rebuilt from it.",
)

WRITER_LEASE = TableSpec(
    name="writer_lease",
    columns=(Column("nothing", STRING, "No row is ever written: the description says it all."),),
    key=("nothing",),
    merge_policy=MergePolicy.INSERT_ONLY,
    description="Empty. Who writes tickets stands here; nobody has written yet.",
)
# Only the holder of the lease writes these.
LEASED_TABLES = (RAW_TICKET_CHANGES, MISSED_UPDATES, TICKETS)

# A label of TICKETS. The state row may be lost, and the receiver writes none: so the table itself
# says whose tickets it holds.
ACCOUNT_LABEL = "helpdesk_account"

# The tables that every sync creates. The receiver creates WEBHOOK_EVENTS: its existence shows the
# sync that there is a receiver.
SYNC_TABLES = (RAW_TICKET_CHANGES, MISSED_UPDATES, TICKETS, SYNC_STATE, SYNC_RUNS)
# The tables that a reconciliation creates as well.
RECONCILIATION_TABLES = (TICKET_INVENTORY, INVENTORY_DIFFERENCES)
# The tables that a large batch may be staged for. A reconciliation tidies its own.
STAGED_BY_SYNCS = tuple(spec.name for spec in SYNC_TABLES)
STAGED_TABLES = (*STAGED_BY_SYNCS, *(spec.name for spec in RECONCILIATION_TABLES))
