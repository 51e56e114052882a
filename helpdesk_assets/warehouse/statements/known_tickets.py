"""The statement that tells known tickets from those that the helpdesk never had.

Pure text: this module must not know a client or a clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType


def find_known_tickets(dataset: Dataset, ids: Sequence[str]) -> Query:
    """Select those of the tickets that have a row, deleted or not."""
    sql = f"""\
SELECT DISTINCT ticket_id
FROM {dataset.table(tables.TICKETS.name)}
WHERE ticket_id IN UNNEST(@ticket_ids)"""
    return Query(sql, (Parameter("ticket_ids", ColumnType.STRING, tuple(ids)),))
