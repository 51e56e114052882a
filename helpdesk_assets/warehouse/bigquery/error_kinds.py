"""Tells google's exceptions apart: what may pass, what nobody knows, and what a row has caused.

Pure functions of an exception. Which of the package's errors it becomes, with which advice, is in
`errors`.
"""

from __future__ import annotations

import re
from concurrent import futures

import requests
from google.api_core import exceptions as google
from google.auth import exceptions as auth

# No answer came, or not the whole of it.
NO_ANSWER = (requests.RequestException, ConnectionError, futures.TimeoutError)

MESSAGE_LIMIT = 300
BYTES_LIMIT = "bytesBilledLimitExceeded"

# Lower case. BigQuery reports lost races as invalidQuery and a full queue as quotaExceeded, neither
# of which its client retries, so only the text can tell them from a mistake or a used-up day.
_RACES = (
    "could not serialize access",
    "due to concurrent update",
    "too many dml statements outstanding",
    # 2 statements run and 20 wait for one table; this is the 23rd. The queue drains in seconds:
    # https://cloud.google.com/bigquery/docs/data-manipulation-language#dml-limitations
    "total number of dml jobs writing to a table, pending + running",
    "dml statement has been queued for too long",
    "too many table update operations",
)
_QUEUE_LOCATION = "max_dml_outstanding_per_table"
_TRANSIENT_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "jobRateLimitExceeded",
        "backendError",
        "jobBackendError",
        "badGateway",
        "internalError",
        "jobInternalError",
        "internal",
    }
)
# A quota lasts for minutes to a day. The limit of bytes is the user's own: google's client, which
# does not know that reason, makes an internal error (500) of it.
_LASTING_REASONS = frozenset({"quotaExceeded", BYTES_LIMIT})
# 410: an upload whose session has ended; its job may have been made.
_LOST_STATUS = (requests.codes.request_timeout, requests.codes.gone)

# Lower case. What BigQuery says of a value that a statement or a load cannot take. A mistake in the
# statement itself ("Syntax error", "Unrecognized name") must never match: another row would not
# help.
_VALUE_FAULTS = re.compile(
    "|".join(
        (
            r"input to parse_json",
            r"malformed json",
            r"cannot round-trip",
            r"could not (cast|parse|convert)",
            r"failed to (cast|parse)",
            r"bad (int64|float64|double|bool|bytes|numeric) value",
            r"invalid (timestamp|datetime|date|time|json)\b(?! literal| zone| part)",
            r"out of (allowed )?range",
            r"\boverflow",
            r"division by zero",
            r"cannot be null",
            r"error while reading data",
            r"json parsing error",
            r"request payload size exceeds",
            r"rows? larger than",
        )
    )
)
_VALUE_REASONS = frozenset({"", "invalid", "invalidQuery", "badRequest", "parseError", "tooLarge"})
_VALUE_STATUS = (requests.codes.bad_request, requests.codes.request_entity_too_large)


def cause_of(error: BaseException) -> BaseException:
    """Return what a client that gave up retrying kept running into; else the error itself."""
    return error.cause if isinstance(error, google.RetryError) and error.cause else error


def reason_of(error: BaseException) -> str:
    """Return BigQuery's reason, such as `quotaExceeded`; empty if it gave none."""
    return _detail(error, "reason")


def text_of(error: BaseException) -> str:
    """Return the error's whole text as one line, without the job id that job errors append."""
    text = str(getattr(error, "message", "") or error)
    line = " ".join(text.partition("\n\nLocation:")[0].split())
    # A TimeoutError has no text at all.
    if line:
        return line
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def message_of(error: BaseException) -> str:
    """Return the error's text as one line of at most 300 characters, without its last period."""
    line = text_of(error).rstrip(".")
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 1]}…"


def is_race(error: BaseException) -> bool:
    """Return whether other statements on the same table were in the way: it passes in seconds."""
    text = text_of(error).lower()
    return _detail(error, "location") == _QUEUE_LOCATION or any(race in text for race in _RACES)


def is_transient(error: BaseException) -> bool:
    """Return whether a job that failed like this may succeed in a moment, under a new id."""
    if not isinstance(error, google.GoogleAPICallError):
        return False
    if is_race(error):  # asked before the quota: a full queue calls itself one
        return True
    if reason_of(error) in _LASTING_REASONS:
        return False
    return reason_of(error) in _TRANSIENT_REASONS or isinstance(
        error, google.TooManyRequests | google.ServerError
    )


def is_answer_lost(error: BaseException) -> bool:
    """Return whether nobody knows what became of the request.

    google's own retries miss one of these: a 504 without a reason (`GatewayTimeout` is not in
    `_UNSTRUCTURED_RETRYABLE_TYPES` of google/cloud/bigquery/retry.py).
    """
    cause = cause_of(error)
    if isinstance(cause, requests.exceptions.SSLError):  # an address or a certificate is wrong
        return False
    if isinstance(cause, google.GoogleAPICallError):
        return (
            isinstance(cause, google.TooManyRequests | google.ServerError)
            or reason_of(cause) in _TRANSIENT_REASONS
            or cause.code in _LOST_STATUS
        )
    if isinstance(cause, auth.GoogleAuthError) and cause.retryable:
        return True
    return isinstance(cause, (google.RetryError, auth.TransportError, *NO_ANSWER))


def is_value_fault(error: BaseException) -> bool:
    """Return whether a row can have caused it, so that the other rows may be taken without it.

    Never true of quotas, rights, names, locations or mistakes in a statement: whoever wrote the
    rows one by one would only repeat the failure for each.
    """
    if not isinstance(error, google.GoogleAPICallError) or is_transient(error):
        return False
    is_told_of_data = error.code in _VALUE_STATUS and reason_of(error) in _VALUE_REASONS
    return is_told_of_data and bool(_VALUE_FAULTS.search(text_of(error).lower()))


def _detail(error: BaseException, name: str) -> str:
    details = getattr(error, "errors", None) or ()
    return str(details[0].get(name, "")) if details and isinstance(details[0], dict) else ""
