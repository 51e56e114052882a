"""What the tests need to know of each vendor: login, field names and limitations.

`columns` is written from the vendor's documentation, not from the adapter: stored rows are compared
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

from pydantic import SecretStr

from helpdesk_assets.local.simulator.dialects import zendesk_tokens as zendesk
from helpdesk_assets.local.simulator.dialects import zoho_desk_tokens as zoho
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

Json = Mapping[str, Any]


class DeletionVisibility(Enum):
    """How a vendor reports a ticket that has left its lists."""

    FULL_VERSION = "by its last version, so the row is that one, with deletedTime"
    TOMBSTONE = "by a notice only, so the row is as it was, with deletedTime"
    STAYS_LIVE = "not at all, it stays in the lists and is no removed ticket here"
    INVISIBLE = "not at all, so the row stays as it was"


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's login, field names and limitations.

    Attributes:
        name: value of HELPDESK_PROVIDER, and name of the simulator's dialect.
        settings: settings for the login at a simulated helpdesk.
        subject: the vendor's name of the subject field.
        modified: the vendor's name of the modified time.
        columns: returns the normalized columns of a raw ticket, except deletedTime.
        removals: by kind (`deleted`, `spam`, `merged`), how the vendor reports a removal while
            every unverified fact has its unfriendly answer.
        calls_without_changes: calls of a run that finds no changes.
        retries_first_call: whether a failed first call for changes is retried; otherwise, the
            listing is read.
        create_dated: creates a ticket with a given modified time.
        time_formats: formats of times that the vendor uses, or may use in future.
        excluded_tests: tests that do not apply to this vendor, by name, with the reason.
        friendly_removals: what differs from `removals` with the given facts friendly.
    """

    name: str
    settings: Callable[[SimulatedHelpdesk], Mapping[str, Any]]
    subject: str
    modified: str
    columns: Callable[[Json], dict[str, Any]]
    removals: Mapping[str, DeletionVisibility]
    calls_without_changes: int
    retries_first_call: bool
    create_dated: Callable[[SimulatedHelpdesk, datetime], None]
    time_formats: tuple[Callable[[datetime], Any], ...]
    excluded_tests: Mapping[str, str] = field(default_factory=dict)
    friendly_removals: Callable[[frozenset[str]], Mapping[str, DeletionVisibility]] = lambda _: {}

    def removals_with(self, friendly: frozenset[str]) -> Mapping[str, DeletionVisibility]:
        """Return how the vendor reports removals with these facts friendly."""
        return {**self.removals, **self.friendly_removals(friendly)}


def east(moment: datetime) -> str:
    """Format a time with a UTC offset, as ISO 8601 allows."""
    return moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()


def west(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=-8))).isoformat()


def _zendesk_columns(ticket: Json) -> dict[str, Any]:
    assignee = ticket["assignee_id"]
    return {
        "subject": ticket["subject"],
        "status": ticket["status"],
        "priority": ticket["priority"],
        "assignee": None if assignee is None else str(assignee),
        "createdTime": _at(ticket["created_at"]),
        "modifiedTime": _at(ticket["updated_at"]),
    }


def create_by_clock(simulator: SimulatedHelpdesk, moment: datetime) -> None:
    """Create a ticket of a given time, for vendors that order changes by the visible time."""
    now = simulator.clock().now
    simulator.freeze(moment)
    simulator.create(1)
    simulator.freeze(now)
    simulator.thaw()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _rest_columns(ticket: Json) -> dict[str, Any]:
    return {
        "subject": ticket["subject"],
        "status": ticket["status"],
        "priority": ticket["priority"],
        "assignee": ticket["assignee"],
        "createdTime": _at(ticket["createdTime"]),
        "modifiedTime": _at(ticket["modifiedTime"]),
    }


FRESHDESK_STATUSES = {
    2: "Open", 3: "Pending", 4: "Resolved", 5: "Closed",
    6: "Waiting on Customer", 7: "Waiting on Third Party",
}  # fmt: skip
FRESHDESK_PRIORITIES = {1: "Low", 2: "Medium", 3: "High", 4: "Urgent"}


def _freshdesk_columns(ticket: Json) -> dict[str, Any]:
    """Numbers become words, except an account's custom ones."""
    status, assignee = ticket["status"], ticket["responder_id"]
    return {
        "subject": ticket["subject"],
        "status": FRESHDESK_STATUSES.get(status, str(status)),
        "priority": FRESHDESK_PRIORITIES[ticket["priority"]],
        "assignee": None if assignee is None else str(assignee),
        "createdTime": _at(ticket["created_at"]),
        "modifiedTime": _at(ticket["updated_at"]),
    }


def _request_tracker_columns(ticket: Json) -> dict[str, Any]:
    owner = ticket["Owner"]["id"]
    return {
        "subject": ticket["Subject"],
        "status": ticket["Status"],
        "priority": ticket["Priority"],
        "assignee": None if owner == "Nobody" else owner,
        "createdTime": _at(ticket["Created"]),
        "modifiedTime": _at(ticket["LastUpdated"]),
    }


def _zoho_columns(ticket: Json) -> dict[str, Any]:
    return {
        "subject": ticket["subject"],
        "status": ticket["status"],
        "priority": ticket["priority"],
        "assignee": ticket["assigneeId"],
        "createdTime": _at(ticket["createdTime"]),
        "modifiedTime": _at_or_since_1970(ticket["modifiedTime"]),
    }


def _zoho_removals(friendly: frozenset[str]) -> dict[str, DeletionVisibility]:
    is_readable = "zoho_desk.trashed_are_readable" in friendly
    in_the_bin = DeletionVisibility.FULL_VERSION if is_readable else DeletionVisibility.TOMBSTONE
    changed = {"deleted": in_the_bin}
    if "zoho_desk.merged_are_in_the_bin" in friendly:
        changed["merged"] = in_the_bin
    if "zoho_desk.spam_is_found" in friendly:
        changed["spam"] = DeletionVisibility.FULL_VERSION
    return changed


def _at_or_since_1970(value: str | int) -> datetime:
    if isinstance(value, int):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    return _at(value)


def in_milliseconds(moment: datetime) -> int:
    """Format a time in milliseconds, as in some of Zoho's samples."""
    return int(moment.timestamp() * 1000)


def create_by_field(field: str) -> Callable[[SimulatedHelpdesk, datetime], None]:
    """Create a ticket of a given time, for vendors that order changes by another time."""

    def create_dated(simulator: SimulatedHelpdesk, moment: datetime) -> None:
        simulator.create(1, fields={field: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})

    return create_dated


TOKEN_RENEWED = "expired_token_is_renewed"
DENSE_SECOND = "one_second_beyond_the_query_cap_is_rejected"
TOKEN_EXPIRY_REPORTED = "expired_token_is_reported"
ARCHIVING = "archiving_changes_no_row"
ARCHIVED = "tickets_archived_before_the_first_load"
THROTTLES = "throttles_before_the_rate_limit"
HIDDEN = "hidden_ticket_does_not_stop_a_reconciliation"
SILENT_CHANGES = "changes_without_a_new_modified_time"
BY_SHOWN_TIME = "Changes are found by the modified time, and nothing else tells of them."
NO_CAP = "One query gives every row that there is."
MANUAL_TOKEN = "A person makes the token, and only a person can make another."

REST = Vendor(
    name="rest",
    settings=lambda simulator: {"helpdesk_api_token": SecretStr(simulator.token)},
    subject="subject",
    modified="modifiedTime",
    columns=_rest_columns,
    removals={
        "deleted": DeletionVisibility.INVISIBLE,
        "spam": DeletionVisibility.INVISIBLE,
        "merged": DeletionVisibility.INVISIBLE,
    },
    calls_without_changes=1,
    retries_first_call=False,
    create_dated=create_by_clock,
    time_formats=(east, west),
    excluded_tests={
        TOKEN_RENEWED: MANUAL_TOKEN,
        DENSE_SECOND: NO_CAP,
        SILENT_CHANGES: BY_SHOWN_TIME,
    },
)

ZENDESK = Vendor(
    name="zendesk",
    settings=lambda simulator: {
        "zendesk_client_id": zendesk.CLIENT_ID,
        "zendesk_client_secret": SecretStr(simulator.token),
        "helpdesk_token_cache": "off",
    },
    subject="subject",
    modified="updated_at",
    columns=_zendesk_columns,
    # A merged ticket is closed, and one marked as spam is deleted.
    removals={
        "deleted": DeletionVisibility.FULL_VERSION,
        "spam": DeletionVisibility.FULL_VERSION,
        "merged": DeletionVisibility.STAYS_LIVE,
    },
    # Calls for a token and the export.
    calls_without_changes=2,
    retries_first_call=True,
    create_dated=create_by_field("updated_at"),
    time_formats=(east, west),
    excluded_tests={TOKEN_EXPIRY_REPORTED: "Another token is fetched.", DENSE_SECOND: NO_CAP},
)

FRESHDESK = Vendor(
    name="freshdesk",
    settings=lambda simulator: {"helpdesk_api_token": SecretStr(simulator.token)},
    subject="subject",
    modified="updated_at",
    columns=_freshdesk_columns,
    # A merged ticket is closed and stays in the list.
    removals={
        "deleted": DeletionVisibility.FULL_VERSION,
        "spam": DeletionVisibility.FULL_VERSION,
        "merged": DeletionVisibility.STAYS_LIVE,
    },
    # Calls for the list, deleted tickets and spam.
    calls_without_changes=3,
    retries_first_call=True,
    create_dated=create_by_clock,
    time_formats=(east, west),
    excluded_tests={
        TOKEN_RENEWED: MANUAL_TOKEN,
        SILENT_CHANGES: BY_SHOWN_TIME,
        ARCHIVED: "No list tells of archived tickets; a reconciliation asks for them if told to.",
    },
)

REQUEST_TRACKER = Vendor(
    name="request_tracker",
    # A user whose time zone is neither UTC nor the server's.
    settings=lambda simulator: {
        "helpdesk_user": "sync-new-york",
        "helpdesk_api_token": SecretStr(simulator.token),
    },
    subject="Subject",
    modified="LastUpdated",
    columns=_request_tracker_columns,
    # Spam is deleted, by hand or by a rule; a merged ticket leaves a transaction.
    removals={
        "deleted": DeletionVisibility.FULL_VERSION,
        "spam": DeletionVisibility.FULL_VERSION,
        "merged": DeletionVisibility.TOMBSTONE,
    },
    # Calls for the user's time zone, removals and changes.
    calls_without_changes=3,
    retries_first_call=True,
    create_dated=create_by_clock,
    time_formats=(east, west),
    excluded_tests={
        TOKEN_RENEWED: MANUAL_TOKEN,
        SILENT_CHANGES: BY_SHOWN_TIME,
        DENSE_SECOND: NO_CAP,
        THROTTLES: "There is no limit, and no header tells of one.",
        HIDDEN: "A ticket by its id is a search, which leaves out what the user may not see.",
    },
)

ZOHO_DESK = Vendor(
    name="zoho_desk",
    settings=lambda simulator: {
        "zoho_accounts_url": simulator.base_url,
        "zoho_org_id": zoho.ORG_ID,
        "zoho_client_id": zoho.CLIENT_ID,
        "zoho_client_secret": SecretStr(zoho.CLIENT_SECRET),
        "zoho_refresh_token": SecretStr(simulator.token),
        "helpdesk_token_cache": "off",
    },
    subject="subject",
    modified="modifiedTime",
    columns=_zoho_columns,
    # The recycle bin has deleted tickets, and nothing else tells of removals for certain.
    removals={
        "deleted": DeletionVisibility.TOMBSTONE,
        "spam": DeletionVisibility.INVISIBLE,
        "merged": DeletionVisibility.INVISIBLE,
    },
    friendly_removals=_zoho_removals,
    # Calls for a token, the search, and the recycle bin up to an empty page.
    calls_without_changes=5,
    retries_first_call=True,
    create_dated=create_by_clock,
    time_formats=(east, west, in_milliseconds),
    excluded_tests={
        SILENT_CHANGES: BY_SHOWN_TIME,
        TOKEN_EXPIRY_REPORTED: "Another token is fetched.",
        ARCHIVED: "Whether the search finds them is not documented, and nothing else does.",
        ARCHIVING: "It shows in the ticket, and whether it moves the modified time is not "
        "documented.",
    },
)

VENDORS = (REST, ZENDESK, ZOHO_DESK, FRESHDESK, REQUEST_TRACKER)
