"""Maps HTTP failures to our errors, for every adapter.

Messages name the path that was tried and the setting to check. They never hold a query, a header
or the token, and only a masked excerpt of a body. Must not know tickets or sessions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RightMissing,
)
from helpdesk_assets.providers.client.header_values import retry_after

TOO_MANY_REQUESTS = 429
# Two calls met, or one was too slow to arrive: the same call may succeed.
PASSING = frozenset({408, 409, 425, TOO_MANY_REQUESTS})
# A token without a scope may read no ticket at all, not only this one.
SCOPE_MISSING = re.compile("scope", re.IGNORECASE)


class TransientError(EndpointFailed):
    """A failure that the same call may not meet again a moment later.

    Attributes:
        retry_after: the wait that the helpdesk asked for, in seconds; None if it asked for none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GatewayRefused(CredentialsRefused):
    """A 403 that is not JSON: a gateway or a firewall sent it, so it says nothing of a ticket."""


class AccountLimitReached(TransientError):
    """The account's limit refused the call. If it still does after all retries, the run ends.

    Another endpoint would be refused as well.
    """


class CallTimedOut(TransientError):
    """No answer came in time, by this machine's clock or a gateway's.

    Attributes:
        call: method and path, such as `GET /tickets`.
    """

    def __init__(self, message: str, call: str) -> None:
        super().__init__(message)
        self.call = call


class AnswerTooSlow(CallTimedOut):
    """An answer was not complete by its deadline.

    It is retried fewer times than other failures, since each attempt takes minutes.
    """

    def __init__(self, call: str, host: str, seconds: float) -> None:
        super().__init__(
            f"The answer of {host} to {call} was not complete within {seconds:g} s. Try again "
            "later; if pages are that slow, lower HELPDESK_PAGE_SIZE or raise "
            "HELPDESK_TIMEOUT_SECONDS.",
            call,
        )


class AnswerTooLarge(EndpointFailed):
    """An answer is larger than is read; the same call would bring it again.

    Attributes:
        call: method and path, such as `GET /tickets`.
    """

    def __init__(self, call: str, limit: int) -> None:
        super().__init__(
            f"The answer to {call} has more than {limit >> 20} MiB. Lower HELPDESK_PAGE_SIZE, so "
            "that fewer tickets come at once."
        )
        self.call = call


def error_for_status(
    path: str,
    status: int,
    said: str,
    headers: Mapping[str, str],
    served_at: datetime,
) -> HelpdeskAssetsError:
    """Return the error for a status that the caller does not accept.

    Args:
        path: the path that was requested, for the message.
        status: the answer's HTTP status.
        said: what the body says, shortened and masked.
        headers: the answer's headers; `Retry-After` is read.
        served_at: the helpdesk's clock when it answered.
    """
    if status == 401:
        return CredentialsRefused(
            f"The helpdesk answered 401 to GET {path}{_quoted(said)}. It does not accept the "
            "credentials; set a valid HELPDESK_API_TOKEN."
        )
    if status == 403:
        kind = CredentialsRefused if SCOPE_MISSING.search(said) else RightMissing
        return kind(
            f"The helpdesk answered 403 to GET {path}{_quoted(said)}. The account of "
            "HELPDESK_API_TOKEN lacks the right to read this, or this machine's address or the "
            "whole account is not allowed in."
        )
    answer = f"GET {path} answered {status}{_quoted(said) or ' with an empty body'}"
    if status in PASSING or status >= 500:
        return TransientError(
            f"{answer}. Try again later{_slow_page_hint(status)}.",
            retry_after(headers, served_at),
        )
    return EndpointFailed(f"{answer}. {_ADVICE.get(status, _WRONG_PLACE)}")


_WRONG_PLACE = "Check HELPDESK_BASE_URL and HELPDESK_PROVIDER."
_REFUSED_REQUEST = (
    "The helpdesk refuses what was asked for; if HELPDESK_PROVIDER and HELPDESK_PAGE_SIZE are "
    "right, report its words to the authors of helpdesk-assets."
)
_ADVICE = {
    400: _REFUSED_REQUEST,
    402: "The helpdesk's account or its plan does not include this; see its invoices.",
    407: "The proxy that HTTP_PROXY or HTTPS_PROXY names wants a login; put it into that address.",
    422: _REFUSED_REQUEST,
    423: "Unlock the account in the helpdesk.",
}


def _quoted(said: str) -> str:
    return f": {said.rstrip('.')}" if said else ""


def _slow_page_hint(status: int) -> str:
    is_slow = status in (408, 504)
    return "; if lists stay that slow, lower HELPDESK_PAGE_SIZE" if is_slow else ""


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
    if isinstance(error, exceptions.SSLError) and "NO_CERTIFICATE_OR_CRL" in str(error):
        return EndpointFailed(
            f"The file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names holds no certificate, so "
            f"{call} was not sent to {host}. Name a file in PEM format, or leave both empty."
        )
    if isinstance(error, exceptions.SSLError) and "CERTIFICATE" in str(error).upper():
        return EndpointFailed(
            f"The certificate of {host} ({setting}) cannot be trusted, so {call} was not sent. "
            "Correct the address, or name the certificate in REQUESTS_CA_BUNDLE."
        )
    if isinstance(error, exceptions.ProxyError | exceptions.InvalidProxyURL):
        return TransientError(
            f"The proxy that HTTP_PROXY or HTTPS_PROXY names did not pass {call} on to {host}. "
            "Check that variable, or name the host in NO_PROXY."
        )
    is_connected = not isinstance(error, exceptions.ConnectTimeout)
    if isinstance(error, exceptions.Timeout) and is_connected:
        return CallTimedOut(
            f"{host} ({setting}) did not answer {call} within {timeout:g} s. Try again later; if "
            "pages are that slow, lower HELPDESK_PAGE_SIZE or raise HELPDESK_TIMEOUT_SECONDS.",
            call,
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


def gateway_refused_error(path: str, said: str) -> GatewayRefused:
    """Return the error for a 403 that a gateway sent.

    Args:
        path: the path that was requested.
        said: what the body says, shortened and masked.
    """
    return GatewayRefused(
        f"GET {path} answered 403 with something other than JSON, as a gateway or a firewall does "
        f"and not a helpdesk{_quoted(said)}. Try again later; if this persists, have this "
        "machine's address let in, or check HELPDESK_BASE_URL."
    )
