"""Combines the pages of a fetch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from helpdesk_assets.model.tickets import Page, Ticket


def newest(pages: Iterable[Page]) -> dict[str, Ticket]:
    """Return by id the version with the latest modified time; of equal ones, the last."""
    tickets = [ticket for page in pages for ticket in page.tickets]
    return {ticket.ticket_id: ticket for ticket in sorted(tickets, key=lambda t: t.modified_time)}


def contents(tickets: Mapping[str, Ticket]) -> dict[str, Any]:
    """Return the raw tickets as they are stored."""
    return {ticket_id: json.loads(ticket.raw_json) for ticket_id, ticket in tickets.items()}
