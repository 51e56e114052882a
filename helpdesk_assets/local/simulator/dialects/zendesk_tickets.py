"""Tickets in Zendesk's format. Must not import anything about requests or removals."""

from __future__ import annotations

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

API = "/api/v2"
SITE = f"https://example.zendesk.com{API}"
# A field that only exports have.
ORDER_FIELD = "generated_timestamp"
STATUSES = {
    "Open": "open",
    "On Hold": "hold",
    "Escalated": "pending",
    "Waiting on Customer": "pending",
    "Closed": "closed",
}
PRIORITIES = {"Low": "low", "Medium": "normal", "High": "high", "Urgent": "urgent"}
# One of so many tickets is handled by AI agents only. Nothing in the ticket says so.
AI_AGENT_EVERY = 7
AGENT_IDS = {f"{name}@example.com": 7_001 + n for n, name in enumerate(fixture_text.AGENTS)}


def is_in_scope(ticket_id: str, support_type_scope: str) -> bool:
    """Return whether an export of this scope has the ticket."""
    is_of_ai_agents = int(ticket_id) % AI_AGENT_EVERY == 0
    return support_type_scope == "all" or is_of_ai_agents == (support_type_scope == "ai_agent")


def to_vendor_ticket(body: Json, version: TicketVersion) -> Json:
    """Return the ticket as in the export, before removal and overlay."""
    ticket_id, requester = int(version.ticket_id), body["requester"]
    custom = [{"id": field["id"], "value": field["value"]} for field in body["customFields"]]
    custom.append({"id": 360_001, "value": body["updateCount"]})
    return {
        "url": f"{SITE}/tickets/{ticket_id}.json",
        "id": ticket_id,
        "external_id": None,
        "via": {"channel": body["channel"].lower(), "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": to_text(version.created),
        "updated_at": to_text(version.visible_modified),
        ORDER_FIELD: version.modified,
        "type": "incident",
        "subject": body["subject"],
        "raw_subject": body["subject"],
        "description": body["description"],
        "priority": PRIORITIES.get(body["priority"]),
        "status": STATUSES[body["status"]],
        "recipient": None,
        "requester_id": requester["id"],
        "submitter_id": requester["id"],
        "assignee_id": AGENT_IDS.get(body["assignee"]),
        "organization_id": requester["company"]["id"],
        "group_id": body["department"]["id"],
        "collaborator_ids": [],
        "follower_ids": [],
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": body["dueDate"],
        "tags": body["tags"],
        "custom_fields": custom,
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": 1001,
        "ticket_form_id": 360,
        "brand_id": 1,
        "fields": custom,
    }
