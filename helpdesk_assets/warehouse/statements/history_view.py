"""The view `ticket_history`: when each version of a ticket was the current one.

A view and not a table: it follows from raw_ticket_changes at any time, so nothing can get out of
step. Pure text.
"""

from __future__ import annotations

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset

NAME = "ticket_history"
DESCRIPTION = (
    "Each version of each ticket, valid from valid_from to before valid_to (NULL: it is the "
    "current one). deletedTime: this version ended with its ticket."
)
_PLAIN = ("ticket_id", "subject", "status", "priority", "assignee", "createdTime", "modifiedTime")


def view_query(dataset: Dataset, *, json_as_text: bool) -> str:
    """Return the view's SELECT.

    A version ends where the next one begins. Of versions within one tick of the helpdesk's clock,
    the last to arrive is valid; the others get an empty validity. A deleted ticket's last version
    ends with the deletion, which is not a version itself; the ticket may be restored.

    The current row of tickets is a version too if no kept version is as new: a webhook stored it,
    or its versions have expired. It ends its ticket if no kept version does, and begins anew, when
    it was read, if the kept versions end with a deletion and it lives.

    Args:
        dataset: where the tables are.
        json_as_text: the tickets table is an adopted one whose raw_json is STRING.
    """
    columns = ", ".join((*_PLAIN, "deletedTime"))
    raw_json = (
        "SAFE.PARSE_JSON(T.raw_json, wide_number_mode => 'round')" if json_as_text else "T.raw_json"
    )
    own = ", ".join(f"T.{name}" for name in (*_PLAIN, "deletedTime"))
    changes = dataset.table(tables.RAW_TICKET_CHANGES.name)
    shown = ",\n".join(f"  {name}" for name in _PLAIN)
    return f"""\
SELECT
{shown},
  next_deleted AS deletedTime,
  raw_json,
  valid_from,
  IF(next_deleted IS NULL, next_from, GREATEST(valid_from, next_deleted)) AS valid_to
FROM (
  SELECT
    {columns}, raw_json, valid_from,
    LEAD(valid_from) OVER (
      PARTITION BY ticket_id ORDER BY valid_from, _fetched_at, _seq
    ) AS next_from,
    LEAD(deletedTime) OVER (
      PARTITION BY ticket_id ORDER BY valid_from, _fetched_at, _seq
    ) AS next_deleted
  FROM (
    SELECT {columns}, raw_json, modifiedTime AS valid_from, _fetched_at, _seq
    FROM {changes}
    UNION ALL
    SELECT
      {own}, {raw_json},
      CASE
        WHEN T.deletedTime > T.modifiedTime OR T.modifiedTime IS NULL THEN T.deletedTime
        WHEN T.modifiedTime <= N.deleted_at THEN T._read_at
        ELSE T.modifiedTime
      END AS valid_from,
      T._synced_at,
      0
    FROM {dataset.table(tables.TICKETS.name)} AS T
    LEFT JOIN (
      SELECT
        ticket_id,
        MAX(modifiedTime) AS modifiedTime,
        MAX(IF(deletedTime IS NULL, NULL, modifiedTime)) AS deleted_at
      FROM {changes}
      GROUP BY ticket_id
    ) AS N
    ON N.ticket_id = T.ticket_id
    WHERE N.modifiedTime IS NULL
      OR T.modifiedTime > N.modifiedTime
      OR T.deletedTime > N.modifiedTime
      OR (T.deletedTime IS NULL AND N.deleted_at = N.modifiedTime AND T._read_at > N.deleted_at)
  )
)
WHERE deletedTime IS NULL"""
