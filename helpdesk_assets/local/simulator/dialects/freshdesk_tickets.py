"""Tickets in Freshdesk's format: numbers for status, priority and source, ids for people.

Must not import anything about requests or removals.
"""

from __future__ import annotations

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.ticket_factory import DAY, Json, TicketVersion

# 6 "Waiting on Customer" and 7 "Waiting on Third Party" are every account's, 8 is its own.
STATUSES = {"Open": 2, "On Hold": 7, "Escalated": 8, "Waiting on Customer": 6, "Closed": 5}
CLOSED = 5
PRIORITIES = {"Low": 1, "Medium": 2, "High": 3, "Urgent": 4}
SOURCES = {"Email": 1, "Web": 2, "Phone": 3, "Chat": 7, "Forum": 9, "API": 10}
AGENT_IDS = {f"{name}@example.com": 77_001 + n for n, name in enumerate(fixture_text.AGENTS)}


def to_vendor_ticket(body: Json, version: TicketVersion) -> Json:
    """Return the ticket as in the list, before removal and overlay."""
    status, created, modified = STATUSES[body["status"]], version.created, version.visible_modified
    custom = {f"cf_{field['name']}": field["value"] for field in body["customFields"]}
    return {
        "cc_emails": [],
        "fwd_emails": [],
        "reply_cc_emails": [],
        "ticket_cc_emails": [],
        "fr_escalated": False,
        "spam": False,
        "email_config_id": None,
        "group_id": body["department"]["id"],
        "priority": PRIORITIES.get(body["priority"], 1),
        "requester_id": body["requester"]["id"],
        "responder_id": AGENT_IDS.get(body["assignee"]),
        "source": SOURCES[body["channel"]],
        "company_id": body["requester"]["company"]["id"],
        "status": status,
        "subject": body["subject"],
        "association_type": None,
        "support_email": None,
        "to_emails": ["support@example.freshdesk.com"],
        "product_id": None,
        "id": int(version.ticket_id),
        "type": "Incident",
        "due_by": to_text(created + 3 * DAY),
        "fr_due_by": to_text(created + DAY),
        "is_escalated": body["status"] == "Escalated",
        "custom_fields": {**custom, "cf_changes": body["updateCount"]},
        "created_at": to_text(created),
        "updated_at": to_text(modified),
        "associated_tickets_count": None,
        "tags": body["tags"],
    }


def included_fields(name: str, body: Json, version: TicketVersion) -> Json:
    """Return the fields that an `include`, or the single ticket, adds.

    Args:
        name: one of the includes, or `description`.
        body: the ticket without its overlay.
        version: the ticket's version.
    """
    requester = body["requester"]
    if name == "description":
        text = body["description"]
        return {"description": f"<div>{text}</div>", "description_text": text}
    if name == "requester":
        return {name: {key: requester[key] for key in ("id", "name", "email", "phone")}}
    if name == "company":
        return {name: {key: requester["company"][key] for key in ("id", "name")}}
    if name == "conversations":
        return {name: [{"id": body["lastComment"]["id"], "body": body["lastComment"]["text"]}]}
    return {
        "stats": {
            "agent_responded_at": to_text(version.visible_modified),
            "requester_responded_at": None,
            "first_responded_at": to_text(version.created),
            "status_updated_at": to_text(version.visible_modified),
            "reopened_at": None,
            "resolved_at": None,
            "closed_at": body["closedTime"],
            "pending_since": None,
        }
    }
