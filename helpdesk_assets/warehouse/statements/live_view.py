"""The view `tickets_live`: tickets, as they will be once the waiting webhooks are merged.

For who wants seconds instead of the minutes until the next drain. It says of each ticket what the
MERGE would make of its row, by the same rules as `merge.newer_wins`, for events that bring their
ticket or say that it is deleted. A hint has to be fetched first. Pure text.
"""

from __future__ import annotations

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge.newer_wins import READ_AHEAD_MINUTES
from helpdesk_assets.warehouse.query import Dataset, quote
from helpdesk_assets.warehouse.table_spec import Column

NAME = "tickets_live"
DESCRIPTION = (
    "tickets with the webhooks that wait to be merged: seconds old, and dearer to read. Events "
    "that only name their ticket are not in it before they are merged."
)
# Within so many minutes after its time, a deletion counts as known; see `DELETION_TOLD_WITHIN`.
TOLD_MINUTES = 15
_CONTENT = ("subject", "status", "priority", "assignee")
_TIMES = ("createdTime", "modifiedTime", "deletedTime")


def view_query(dataset: Dataset, *, json_as_text: bool) -> str:
    """Return the view's SELECT.

    Waiting events are looked for from the start of yesterday on, as the frequent drain does.

    Args:
        dataset: where the tables are.
        json_as_text: the tickets table is an adopted one whose raw_json is STRING.
    """
    columns = ",\n".join(f"  {_value(column, json_as_text)}" for column in tables.TICKETS.columns)
    return f"""\
WITH waiting AS (
{_waiting(dataset)}
),
versions AS (
{_versions()}
),
compared AS (
{_compared(dataset)}
)
SELECT
{columns}
FROM compared AS C
WHERE C.is_known OR NOT C.is_told"""


def _waiting(dataset: Dataset) -> str:
    """Select the waiting events with the fields of their ticket; a deletion without one has few."""
    text = ",\n".join(f"    JSON_VALUE(E.ticket, '$.{name}') AS {name}" for name in _CONTENT)
    times = ",\n".join(
        f"    SAFE_CAST(JSON_VALUE(E.ticket, '$.{field}') AS TIMESTAMP) AS {name}"
        for name, field in (("createdTime", "created_time"), ("modifiedTime", "modified_time"))
    )
    return f"""\
  SELECT
    E.ticket_id,
    E.event_id,
{text},
{times},
    LEAST(
      SAFE_CAST(JSON_VALUE(E.ticket, '$.deleted_time') AS TIMESTAMP),
      GREATEST(E.received_at, CURRENT_TIMESTAMP())
    ) AS deletedTime,
    JSON_VALUE(E.ticket, '$.raw_json') AS raw_json,
    JSON_VALUE(E.ticket, '$.content_hash') AS _content_hash,
    E.ticket IS NULL OR JSON_VALUE(E.ticket, '$.tombstone') = 'true' AS is_tombstone,
    LEAST(
      COALESCE(E.modifiedTime, E.received_at),
      GREATEST(E.received_at, CURRENT_TIMESTAMP())
    ) AS told_at,
    E.received_at,
    E.committed_at
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)} AS E
  LEFT JOIN (
    SELECT DISTINCT ticket_id, event_id
    FROM {dataset.table(tables.WEBHOOK_OUTCOMES.name)}
    WHERE received_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 9 DAY)
  ) AS O
  ON O.ticket_id = E.ticket_id AND O.event_id = E.event_id
  WHERE E.received_at >=
      TIMESTAMP_SUB(TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), DAY), INTERVAL 1 DAY)
    AND O.event_id IS NULL
    AND (E.ticket IS NOT NULL OR E.kind = 'deletion')"""


def _versions() -> str:
    """Select one version per ticket: the newest complete one, with the newest deletion.

    The deletion counts unless the version is newer or was read later. A ticket of which only
    deletions tell has none of the other columns.
    """
    names = (*_CONTENT, "createdTime", "raw_json", "_content_hash")
    of_version = ",\n".join(f"    V.{name}" for name in names)
    read_at = f"""\
LEAST(
        GREATEST(told_at, received_at),
        TIMESTAMP_ADD(LEAST(told_at, received_at), INTERVAL {TOLD_MINUTES} MINUTE)
      )"""
    takes = "D.told_at >= V.modifiedTime AND D.read_at >= V.modifiedTime"
    return f"""\
  SELECT
    COALESCE(V.ticket_id, D.ticket_id) AS ticket_id,
{of_version},
    COALESCE(V.modifiedTime, D.told_at) AS modifiedTime,
    CASE
      WHEN V.ticket_id IS NULL THEN D.told_at
      WHEN {takes} THEN COALESCE(V.deletedTime, D.told_at)
      ELSE V.deletedTime
    END AS deletedTime,
    IF(V.ticket_id IS NULL OR ({takes}), D.read_at, V.modifiedTime) AS read_at,
    V.ticket_id IS NULL AS is_told,
    COALESCE(V.committed_at, D.committed_at) AS committed_at
  FROM (
    SELECT *
    FROM waiting
    WHERE NOT is_tombstone AND modifiedTime IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY ticket_id
      ORDER BY modifiedTime DESC, received_at DESC, event_id DESC
    ) = 1
  ) AS V
  FULL JOIN (
    SELECT
      ticket_id,
      told_at,
      {read_at} AS read_at,
      committed_at
    FROM waiting
    WHERE is_tombstone
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY ticket_id
      ORDER BY told_at DESC, read_at DESC, received_at DESC, event_id DESC
    ) = 1
  ) AS D
  ON D.ticket_id = V.ticket_id"""


def _compared(dataset: Dataset) -> str:
    """Join tickets with the versions, and decide what each row takes over, as the MERGE does."""
    unknown = (
        "IFNULL(T._read_at > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), "
        f"INTERVAL {READ_AHEAD_MINUTES} MINUTE), TRUE)"
    )
    alive = (
        "TIMESTAMP_TRUNC(S.modifiedTime, SECOND) > TIMESTAMP_TRUNC(T.deletedTime, SECOND)\n"
        f"        OR {unknown}\n        OR T._read_at < S.read_at"
    )
    stored = ",\n".join(f"    T.{quote(c.name)} AS {_stored(c)}" for c in tables.TICKETS.columns)
    told = ",\n".join(
        f"    S.{name} AS new_{name}"
        for name in (*_CONTENT, *_TIMES, "raw_json", "_content_hash", "read_at", "committed_at")
    )
    return f"""\
  SELECT
    COALESCE(T.ticket_id, S.ticket_id) AS ticket_id,
{stored},
{told},
    T.ticket_id IS NOT NULL AS is_known,
    IFNULL(S.is_told, FALSE) AS is_told,
    S.ticket_id IS NOT NULL AND NOT S.is_told AND (
      T.ticket_id IS NULL
      OR T.modifiedTime IS NULL
      OR T.modifiedTime < S.modifiedTime
      OR (T.modifiedTime = S.modifiedTime
        AND T._content_hash IS DISTINCT FROM S._content_hash
        AND ({unknown} OR T._read_at < S.read_at))
    ) AS is_newer,
    T.deletedTime IS NULL AND S.deletedTime IS NOT NULL
      AND (T.modifiedTime IS NULL OR T.modifiedTime <= GREATEST(S.modifiedTime, S.deletedTime))
      AND ({unknown} OR T._read_at <= S.read_at) AS is_deleted,
    S.ticket_id IS NOT NULL AND T.deletedTime IS NOT NULL AND S.deletedTime IS NULL
      AND ({alive}) AS is_alive
  FROM {dataset.table(tables.TICKETS.name)} AS T
  FULL JOIN versions AS S
  ON S.ticket_id = T.ticket_id"""


def _stored(column: Column) -> str:
    return f"old_{column.name}"


def _value(column: Column, json_as_text: bool) -> str:
    """Return a column of the view: the waiting version's or the stored row's."""
    name = column.name
    old = f"C.{_stored(column)}"
    is_changed = "C.is_newer OR C.is_deleted OR C.is_alive"
    match name:
        case "ticket_id":
            return "C.ticket_id"
        case "createdTime":
            value = f"IF(C.is_newer, COALESCE(C.new_createdTime, {old}), {old})"
        case "deletedTime" | "_read_at":
            new = "C.new_deletedTime" if name == "deletedTime" else "C.new_read_at"
            takes = "C.old_deletedTime IS NULL OR C.new_deletedTime IS NOT NULL OR C.is_alive"
            value = f"IF(C.is_newer AND ({takes}) OR C.is_deleted OR C.is_alive, {new}, {old})"
        case "raw_json":
            parsed = "SAFE.PARSE_JSON(C.new_raw_json, wide_number_mode => 'round')"
            value = f"IF(C.is_newer, {'C.new_raw_json' if json_as_text else parsed}, {old})"
        case "_synced_at":
            value = f"IF({is_changed}, C.new_committed_at, {old})"
        case "_first_synced_at":
            value = f"IF(C.is_known, {old}, C.new_committed_at)"
        case "_synced_by":
            value = f"IF({is_changed}, 'webhook', {old})"
        case "_run_id":
            value = f"IF({is_changed}, CAST(NULL AS STRING), {old})"
        case _:
            value = f"IF(C.is_newer, C.new_{name}, {old})"
    return f"{value} AS {quote(name)}"
