"""The whole row that a sample's ticket becomes."""

from __future__ import annotations

from typing import Any

from helpdesk_assets_tests.conformance.vendors import Json
from helpdesk_assets_tests.vendor_samples.samples import at


def row(
    raw: Json, subject: str | None, status: str | None, **columns: str | None
) -> dict[str, Any]:
    """Return a row; the times among `columns` are texts.

    Args:
        raw: the ticket as it is stored.
        subject: the column.
        status: the column.
        columns: priority, assignee, created, modified and deleted; those left out are NULL.
    """
    deleted = columns.get("deleted")
    return {
        "subject": subject,
        "status": status,
        "priority": columns.get("priority"),
        "assignee": columns.get("assignee"),
        "createdTime": at(columns["created"] or ""),
        "modifiedTime": at(columns["modified"] or ""),
        "deletedTime": None if deleted is None else at(deleted),
        "raw_json": raw,
    }
