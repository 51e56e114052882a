"""Maps google's exceptions, by reason and status, to the package's errors.

Decides whether a failed job may be retried (`is_transient`), and which error with which advice the
rest of the package sees (`to_error`). Must not call BigQuery.
"""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass

import requests
from google.api_core import exceptions as google
from google.auth import exceptions as auth

from helpdesk_assets.errors import (
    CredentialsRefused,
    HelpdeskAssetsError,
    MachineError,
    NullKey,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.warehouse.query import NULL_KEY

CLIENT_ERRORS = (
    google.GoogleAPIError,
    auth.GoogleAuthError,
    # Also a certificate bundle that is not there, and a disk that is full.
    OSError,
)

_NO_ANSWER = (requests.RequestException, ConnectionError, futures.TimeoutError)

# Lower case. BigQuery reports lost races as invalidQuery, which its client never retries, so only
# the text can distinguish them.
_RACES = (
    "could not serialize access",
    "due to concurrent update",
    "too many dml statements outstanding",
    "too many table update operations",
)
_TRANSIENT_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "jobRateLimitExceeded",
        "backendError",
        "jobBackendError",
        "internalError",
        "jobInternalError",
        "internal",
    }
)
_MESSAGE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call went, in the terms of the settings."""

    project: str
    dataset: str
    location: str | None
    endpoint: str
    is_emulator: bool
    paying_project: str = ""


def is_transient(error: BaseException) -> bool:
    """Return whether the same job under a new id may succeed in a moment."""
    if not isinstance(error, google.GoogleAPICallError):
        return False
    if reason_of(error) == "quotaExceeded":  # lasts for minutes to a day
        return False
    text = str(error).lower()
    return (
        reason_of(error) in _TRANSIENT_REASONS
        or any(race in text for race in _RACES)
        or isinstance(error, google.TooManyRequests | google.ServerError)
    )


def reason_of(error: google.GoogleAPICallError) -> str:
    """Return BigQuery's reason, such as `quotaExceeded`; empty if it gave none."""
    details = error.errors[0] if error.errors else None
    return str(details.get("reason", "")) if isinstance(details, dict) else ""


def message_of(error: BaseException) -> str:
    """Return the error's text as one line of at most 300 characters.

    The lines of the statement and the job id, which job errors append, are left out.
    """
    text = str(getattr(error, "message", "") or error)
    line = " ".join(text.partition("\n\nLocation:")[0].split())
    return line if len(line) <= _MESSAGE_LIMIT else f"{line[: _MESSAGE_LIMIT - 1]}…"


def to_error(error: BaseException, action: str, target: Target) -> HelpdeskAssetsError:
    """Return the package's error for one of google's.

    Args:
        error: one of `CLIENT_ERRORS`.
        action: what was tried; completes "BigQuery failed while …".
        target: where the call went.
    """
    cause = error.cause if isinstance(error, google.RetryError) and error.cause else error
    if isinstance(cause, google.GoogleAPICallError):
        return _from_response(cause, action, target)
    if isinstance(cause, auth.RefreshError | auth.DefaultCredentialsError):
        return _permission_error(cause, action, target)
    if isinstance(cause, OSError) and not isinstance(cause, _NO_ANSWER):
        return MachineError.of(cause, f"BigQuery at {target.endpoint}: {action}")
    return WarehouseUnavailable(
        f"BigQuery at {target.endpoint} did not answer while {action}: {message_of(cause)}. "
        + (
            "Start it with `helpdesk-assets warehouse`, or correct BIGQUERY_EMULATOR_HOST."
            if target.is_emulator
            else "Run again later."
        )
    )


def _from_response(
    error: google.GoogleAPICallError, action: str, target: Target
) -> HelpdeskAssetsError:
    text = message_of(error)
    if NULL_KEY in text:
        key = text.partition(NULL_KEY)[2].split()[0].strip(";:,.")
        return NullKey(
            f"{NULL_KEY} {key}: a row without its key would be inserted again on every run. "
            f"Nothing was written; correct the query or the rows that {action} reads."
        )
    if reason_of(error) == "quotaExceeded":
        return WarehouseRefused(
            f"BigQuery's quota was exhausted while {action}: {text}. Wait at least ten minutes "
            "(a daily quota: until tomorrow), or request more under IAM & Admin, Quotas."
        )
    if is_transient(error):
        return WarehouseUnavailable(
            f"BigQuery kept failing while {action}: {text}. Nothing is half-written; run again."
        )
    if isinstance(error, google.NotFound) or _hides_a_missing_dataset(error, target):
        return WarehouseRefused(
            f"BigQuery did not find the table or dataset while {action}: {text}. Check "
            f"BIGQUERY_DATASET ({target.dataset}) in project {target.project} and "
            f"BIGQUERY_LOCATION ({target.location or 'not set'}): tables are found only in their "
            "dataset's location."
        )
    if isinstance(error, google.Unauthorized) or (
        isinstance(error, google.Forbidden) and not reason_of(error).startswith("billing")
    ):
        return _permission_error(error, action, target)
    return WarehouseRefused(f"BigQuery refused while {action}: {text}")


def _hides_a_missing_dataset(error: google.GoogleAPICallError, target: Target) -> bool:
    """Return whether a 403 means 404: bqemulator has no permissions, and says 403 for both."""
    return target.is_emulator and isinstance(error, google.Forbidden)


def _permission_error(error: BaseException, action: str, target: Target) -> CredentialsRefused:
    paying = target.paying_project or target.project
    return CredentialsRefused(
        f"BigQuery refused the credentials while {action}: {message_of(error)}. The identity needs "
        f"roles/bigquery.jobUser on project {paying} and roles/bigquery.dataEditor on "
        f"dataset {target.dataset}; `gcloud auth application-default login` renews a login."
    )
