"""Creates tombstones: tickets of which only the deletion is known.

Must not know HTTP or paging.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing import exact_json


def tombstone(ticket_id: str, deleted_time: datetime, deletion_event: Any) -> Ticket:
    """Create a ticket of which only the deletion is known.

    Args:
        ticket_id: the ticket's id.
        deleted_time: when it was deleted.
        deletion_event: what the vendor reported, stored as `raw_json`; only the id is stored if
            it is nested too deep.
    """
    try:
        _, raw_json, content_hash = exact_json.storable(deletion_event)
    except RecursionError:
        _, raw_json, content_hash = exact_json.storable({"id": ticket_id})
    return Ticket(
        ticket_id=ticket_id,
        subject=None,
        status=None,
        priority=None,
        assignee=None,
        created_time=None,
        modified_time=deleted_time,
        deleted_time=deleted_time,
        raw_json=raw_json,
        content_hash=content_hash,
        tombstone=True,
    )
