"""Maps HTTP failures to our errors, for every adapter.

Messages name the path that was tried and the setting to check. They never hold a query, a header
or the token, and only a masked excerpt of a body. Must not know tickets or sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RightMissing,
)
from helpdesk_assets.providers.client.header_values import retry_after

EXCERPT_CHARS = 200
TOO_MANY_REQUESTS = 429


class TransientError(EndpointFailed):
    """A failure that the same call may not meet again a moment later.

    Attributes:
        retry_after: the wait that the helpdesk asked for, in seconds; None if it asked for none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AccountLimitReached(TransientError):
    """The account's limit refused the call. If it still does after all retries, the run ends.

    Another endpoint would be refused as well.
    """


class AnswerTooSlow(TransientError):
    """An answer was not complete by its deadline.

    It is retried fewer times than other failures, since each attempt takes minutes.
    """

    def __init__(self, call: str, host: str, seconds: float) -> None:
        super().__init__(
            f"The answer of {host} to {call} was not complete within {seconds:g} s. Try again "
            "later; if pages are that slow, lower HELPDESK_PAGE_SIZE or raise "
            "HELPDESK_TIMEOUT_SECONDS."
        )


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of a body on one line, with secrets masked before the cut."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= EXCERPT_CHARS else f"{text[: EXCERPT_CHARS - 1]}…"


def error_for_status(
    path: str,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    served_at: datetime,
    secrets: Iterable[str],
) -> HelpdeskAssetsError:
    """Return the error for a status that the caller does not accept.

    Args:
        path: the path that was requested, for the message.
        status: the answer's HTTP status.
        body: the answer's body, shown as a masked excerpt.
        headers: the answer's headers; `Retry-After` is read.
        served_at: the helpdesk's clock when it answered.
        secrets: the texts to mask.
    """
    if status == 401:
        return CredentialsRefused(
            f"The helpdesk answered 401 to GET {path}: it does not accept the credentials; "
            "set a valid HELPDESK_API_TOKEN."
        )
    if status == 403:
        return RightMissing(
            f"The helpdesk answered 403 to GET {path}: the account of HELPDESK_API_TOKEN lacks "
            "the right to read this; give it that right or set another token."
        )
    detail = excerpt(body, secrets)
    detail = f": {detail}" if detail else " with an empty body"
    if status == TOO_MANY_REQUESTS or status >= 500:
        return TransientError(
            f"GET {path} answered {status}{detail}. Try again later.",
            retry_after(headers, served_at),
        )
    return EndpointFailed(
        f"GET {path} answered {status}{detail}. Check HELPDESK_BASE_URL and HELPDESK_PROVIDER."
    )


def connection_error(
    call: str, host: str, timeout: float, error: Exception, setting: str = "HELPDESK_BASE_URL"
) -> EndpointFailed:
    """Return the error for a request without an answer.

    The message leaves out the text of `error`, which may quote an invalid header with its token.

    Args:
        call: method and path, such as `GET /tickets`.
        host: the host that was called.
        timeout: seconds that the call waited at most.
        error: what requests raised.
        setting: the setting that names the host.
    """
    exceptions = requests.exceptions
    if isinstance(error, exceptions.SSLError) and "CERTIFICATE" in str(error).upper():
        return EndpointFailed(
            f"The certificate of {host} ({setting}) cannot be trusted, so {call} was not sent. "
            "Correct the address, or name the certificate in REQUESTS_CA_BUNDLE."
        )
    if isinstance(error, exceptions.Timeout):
        return TransientError(
            f"{host} ({setting}) did not answer {call} within {timeout:g} s. Try again later, or "
            "raise HELPDESK_TIMEOUT_SECONDS."
        )
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return truncated_body_error(call)
    if isinstance(error, exceptions.ConnectionError):
        return TransientError(
            f"{host} ({setting}) cannot be reached or dropped the connection during {call}. Check "
            "the address and the network, then try again."
        )
    return EndpointFailed(
        f"{call} could not be sent to {host} ({type(error).__name__}). Check {setting}."
    )


def truncated_body_error(call: str) -> TransientError:
    """Return the error for a truncated body, which could otherwise end a list silently."""
    return TransientError(f"The answer to {call} was cut short. Try again later.")


def foreign_not_found_error(path: str) -> TransientError:
    """Return the error for a 404 that a gateway sent, which says nothing about a ticket."""
    return TransientError(
        f"GET {path} answered 404 with something other than JSON, as a gateway does and not a "
        "helpdesk. Try again later; if this persists, check HELPDESK_BASE_URL."
    )
