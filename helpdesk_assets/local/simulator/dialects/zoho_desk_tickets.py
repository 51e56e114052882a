"""Tickets in Zoho Desk's format, in which ids and counts are strings.

Must not import anything about requests or removals.
"""

from __future__ import annotations

from typing import Any

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

STATUS_TYPES = {
    "Open": "Open",
    "On Hold": "On Hold",
    "Escalated": "Open",
    "Waiting on Customer": "On Hold",
    "Closed": "Closed",
}
AGENTS = {
    f"{name}@example.com": {
        "id": str(421_370_000_000_056_000 + number),
        "firstName": name,
        "lastName": "Agent",
        "emailId": f"{name}@example.com",
        "photoURL": None,
        "zuid": str(640_954_700 + number),
    }
    for number, name in enumerate(fixture_text.AGENTS)
}


def milliseconds(second: int) -> str:
    """Format seconds since 1970 as Zoho writes times, such as `2026-11-23T10:00:00.000Z`."""
    return f"{to_text(second)[:-1]}.000Z"


def to_vendor_ticket(body: Json, version: TicketVersion) -> Json:
    """Return the ticket as in the search, before removal and overlay."""
    assignee, contact = AGENTS.get(body["assignee"] or ""), _contact(body["requester"])
    created, modified = milliseconds(version.created), milliseconds(version.visible_modified)
    department = {"id": str(body["department"]["id"]), "name": body["department"]["name"]}
    custom = {field["name"]: field["value"] for field in body["customFields"]}
    return {
        "id": version.ticket_id,
        "ticketNumber": str(body["ticketNumber"]),
        "subject": body["subject"],
        "status": body["status"],
        "statusType": STATUS_TYPES[body["status"]],
        "priority": body["priority"],
        "assigneeId": assignee and assignee["id"],
        "assignee": assignee,
        "createdTime": created,
        "modifiedTime": modified,
        "closedTime": _with_milliseconds(body["closedTime"]),
        "onholdTime": None,
        "customerResponseTime": modified,
        "dueDate": _with_milliseconds(body["dueDate"]),
        "departmentId": department["id"],
        "department": department,
        "contactId": contact["id"],
        "contact": contact,
        "channel": body["channel"].upper(),
        "language": body["language"],
        "description": body["description"],
        "email": contact["email"],
        "phone": contact["phone"],
        "threadCount": str(body["threadCount"]),
        "commentCount": str(body["updateCount"]),
        "isSpam": False,
        "isArchived": False,
        "isEscalated": body["status"] == "Escalated",
        "isOverDue": False,
        "cf": {f"cf_{name.replace(' ', '_')}": value for name, value in custom.items()},
        "customFields": custom,
        "webUrl": f"https://desk.zoho.example/ShowHomePage.do#Cases/dv/{version.ticket_id}",
    }


def _with_milliseconds(time: str | None) -> str | None:
    return time and f"{time[:-1]}.000Z"


def _contact(requester: Json) -> dict[str, Any]:
    first, _, last = requester["name"].partition(" ")
    company = requester["company"]
    return {
        "id": str(requester["id"]),
        "firstName": first,
        "lastName": last,
        "email": requester["email"],
        "phone": requester["phone"],
        "mobile": None,
        "type": None,
        "account": {"id": str(company["id"]), "accountName": company["name"], "website": None},
    }
