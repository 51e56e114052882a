"""Tickets in Request Tracker's format. Must not import anything about queries or pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

SITE = "https://rt.example.com/REST/2.0"
NOT_SET = to_text(0)
STATUSES = {
    "Open": "open",
    "On Hold": "stalled",
    "Escalated": "open",
    "Waiting on Customer": "stalled",
    "Closed": "resolved",
}
PRIORITIES = {"Low": "0", "Medium": "50", "High": "80", "Urgent": "100", None: "0"}
# Fields of single tickets, which lists have on request, in the list's order.
FIELDS = (
    "Subject", "Status", "Priority", "InitialPriority", "FinalPriority", "Type", "Queue", "Owner",
    "Requestor", "Cc", "AdminCc", "Creator", "LastUpdatedBy", "Created", "LastUpdated", "Started",
    "Starts", "Due", "Resolved", "TimeEstimated", "TimeWorked", "TimeLeft", "CustomFields",
)  # fmt: skip
# Fields that only lists have.
FIELDS_OF_LISTS = ("Told", "SLA", "CustomRoles")


def to_vendor_ticket(body: Json, version: TicketVersion) -> Json:
    """Return the ticket with every field that a list can have, before removal and overlay."""
    state = STATUSES[body["status"]]
    owner = (body["assignee"] or "Nobody").removesuffix("@example.com")
    return {
        **link("ticket", version.ticket_id),
        "Subject": body["subject"],
        "Status": state,
        "Priority": PRIORITIES[body["priority"]],
        "InitialPriority": "0",
        "FinalPriority": "0",
        "Type": "ticket",
        "SLA": "",
        "Queue": {**link("queue", "1"), "Name": body["department"]["name"]},
        "Owner": link("user", owner),
        "Requestor": [link("user", body["requester"]["email"])],
        "Cc": [],
        "AdminCc": [],
        "Creator": link("user", body["requester"]["email"]),
        "LastUpdatedBy": link("user", owner),
        "Created": to_text(version.created),
        "LastUpdated": to_text(version.visible_modified),
        "Started": to_text(version.created),
        "Starts": NOT_SET,
        "Due": body["dueDate"] or NOT_SET,
        "Resolved": to_text(version.modified) if state == "resolved" else NOT_SET,
        "Told": NOT_SET,
        "TimeEstimated": "0",
        "TimeWorked": str(body["updateCount"]),
        "TimeLeft": "0",
        "CustomFields": [
            {**link("customfield", str(number)), "name": field["name"], "values": [_text(field)]}
            for number, field in enumerate(body["customFields"], 1)
        ]
        # In lists, a ticket without custom fields has an empty string here.
        if body["attachments"]
        else "",
        "CustomRoles": {},
    }


def _text(field: Json) -> str:
    """Return a custom field's value as text, which is how RT stores it."""
    value = field["value"]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def link(kind: str, key: str) -> Json:
    """Return RT's reference to an object."""
    return {"id": key, "type": kind, "_url": f"{SITE}/{kind}/{key}"}


def selected_fields(row: Json, query: Mapping[str, str]) -> Json:
    """Return the row's requested `fields`; without `fields`, only its id and link."""
    names = [name for name in query.get("fields", "").split(",") if name]
    selected: Json = {name: row[name] for name in ("id", "type", "_url")}
    selected |= {name: row.get(name, "") for name in names}
    if "Queue" in selected and "fields[Queue]" not in query:
        selected["Queue"] = link("queue", row["Queue"]["id"])
    return selected
