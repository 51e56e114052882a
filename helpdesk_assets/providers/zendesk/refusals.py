"""Turns Zendesk's error answers into our errors, with what Zendesk says and what to do about it.

Zendesk has four shapes of errors, and gateways before it answer text or HTML; what a person has to
know is in all of them, so the masked beginning of the body is shown. Must not know tickets.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from helpdesk_assets.errors import CredentialsRefused, HelpdeskAssetsError, RightMissing
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.auth import Auth, BasicAuth
from helpdesk_assets.providers.client.oauth import OAuthLogin
from helpdesk_assets.providers.client.reply import ErrorParser, Reply

EXPORTS = "/incremental/"
# The page took too long to make; 524 is what a network before Zendesk answers then.
TIMEOUT_STATUSES = frozenset({408, 504, 524})
# Two calls met. tap-zendesk waits as long.
CONFLICT = 409
CONFLICT_WAIT_SECONDS = 10.0
# A 404 with this says that the plan lacks the endpoint, not that there is no such ticket.
NO_ENDPOINT = "InvalidEndpoint"


def error_parser(auth: Auth) -> ErrorParser:
    """Return the parser of the error answers to calls with this login."""
    return partial(_parse_error, auth)


def check_is_about_ticket(reply: Reply) -> None:
    """Check that a 404 says that there is no such ticket.

    Raises:
        RightMissing: it says that the account has no such endpoint.
    """
    body: Any = reply.json() if reply.body.strip() else None
    error = body.get("error") if isinstance(body, dict) else None
    title = error.get("title") if isinstance(error, dict) else error
    if title == NO_ENDPOINT:
        raise RightMissing(
            f"Zendesk answered 404 ({NO_ENDPOINT}) to GET {reply.path}: the plan of the account "
            "lacks this endpoint, or HELPDESK_BASE_URL is not the account's own address."
        )


def _parse_error(auth: Auth, reply: Reply) -> HelpdeskAssetsError | None:
    """Return the error of an answer, None if its status says everything."""
    detail = reply.said
    answer = f"Zendesk answered {reply.status} to GET {reply.path}{f': {detail}' if detail else ''}"
    is_client = isinstance(auth, OAuthLogin)
    given = "HELPDESK_USER and HELPDESK_API_TOKEN"
    to_check = f"check {given}" if isinstance(auth, BasicAuth) else "set a valid HELPDESK_API_TOKEN"
    if reply.status == 401:
        advice = (
            "It does not accept the access token of ZENDESK_CLIENT_ID; check that the client still "
            "exists."
            if is_client
            else f"It does not accept the credentials; {to_check}, or set ZENDESK_CLIENT_ID and "
            "ZENDESK_CLIENT_SECRET."
        )
        return CredentialsRefused(f"{answer}. {advice}")
    if reply.status == 403:
        user = "ZENDESK_CLIENT_ID" if is_client else "HELPDESK_API_TOKEN"
        need = "be an admin" if reply.path.startswith(EXPORTS) else "have the right to read this"
        return RightMissing(
            f"{answer}. If Zendesk gives no other reason, the user of {user} must {need}."
        )
    if reply.status == CONFLICT:
        return errors.TransientError(f"{answer}. Try again later.", CONFLICT_WAIT_SECONDS)
    if reply.status in TIMEOUT_STATUSES:
        return errors.CallTimedOut(
            f"{answer}. Try again later; if pages are that slow, lower HELPDESK_PAGE_SIZE.",
            f"GET {reply.path}",
        )
    return None
