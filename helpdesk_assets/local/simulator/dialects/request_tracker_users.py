"""Users of the simulated Request Tracker."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from helpdesk_assets.local.simulator.dialects.request_tracker_tickets import NOT_SET, link
from helpdesk_assets.local.simulator.ticket_factory import Json


class User(NamedTuple):
    """A user. An empty `zone` means the server's. Without `can_see_tickets`, lists are empty."""

    number: int
    zone: str
    is_superuser: bool = False
    can_see_tickets: bool = True


SERVER_ZONE = "Europe/Berlin"
# The password of every user is the simulator's token.
USERS = {
    "root": User(14, "", is_superuser=True),
    "sync": User(61, "UTC"),
    "sync-new-york": User(62, "America/New_York"),
    "sync-kolkata": User(63, "Asia/Kolkata"),
    "sync-zoneless": User(64, ""),
    "sync-blind": User(65, "UTC", can_see_tickets=False),
}


def describe_user(name: str, requester: User) -> Json:
    """Return a user's record as `requester` sees it.

    Private fields are visible to the user and to superusers. Empty fields are left out.
    """
    user = USERS[name]
    description: Json = {"Name": name, "RealName": name, "EmailAddress": f"{name}@example.com"}
    description["Privileged"] = 1
    return (
        {**description, **_private_fields(user)}
        if user is requester or requester.is_superuser
        else description
    )


def parse_authorization(authorization: str) -> tuple[str, str]:
    """Return user name and password, or user name and the last part of the auth token."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        return _basic(value)
    if scheme == "token":
        number, password = value.removeprefix("1-").partition("-")[::2]
        return next((n for n, user in USERS.items() if str(user.number) == number), ""), password
    return "", ""


def _private_fields(user: User) -> Json:
    root = link("user", "root")
    description: Json = {"id": user.number, "Disabled": "0", "Memberships": []}
    description |= {
        "Created": NOT_SET,
        "Creator": root,
        "LastUpdated": NOT_SET,
        "LastUpdatedBy": root,
    }
    return {**description, "Timezone": user.zone} if user.zone else description


def _basic(value: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return "", ""
    return user, password
