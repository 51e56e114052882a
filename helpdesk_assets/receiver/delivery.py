"""What the receiver stores for one event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.model.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event with the version of its ticket that is to be stored for it."""

    event_id: str
    type: str
    helpdesk: str
    received_at: datetime
    ticket: Ticket

    @property
    def size(self) -> int:
        """About how many bytes it adds to a statement, where all that is not ASCII is escaped."""
        raw_json = self.ticket.raw_json
        return 600 + (len(raw_json) if raw_json.isascii() else len(json.dumps(raw_json)))
