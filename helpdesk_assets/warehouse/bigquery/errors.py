"""What google's exceptions mean for the one who runs this: the only mapping, by reason and status.

Decides two things: whether a failed job may simply be tried again (`passes`), and which of our
errors, with which advice, the rest of the package sees (`explain`). Must not call anything.
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
    NullKey,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.warehouse.query import NULL_KEY

TRANSPORT = (
    google.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    ConnectionError,
    futures.TimeoutError,
)

# Lower case. BigQuery reports lost races as invalidQuery, which its client never retries, so the
# text is all there is to go by.
_RACES = (
    "could not serialize access",
    "due to concurrent update",
    "too many dml statements outstanding",
    "too many table update operations",
)
_PASSING_REASONS = frozenset(
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
class Place:
    """Where a call went, in the words of the settings."""

    project: str
    dataset: str
    location: str | None
    endpoint: str
    is_emulator: bool


def passes(error: BaseException) -> bool:
    """Whether the same job under a new id may succeed in a moment."""
    if not isinstance(error, google.GoogleAPICallError):
        return False
    if reason_of(error) == "quotaExceeded":  # lasts for minutes to a day
        return False
    text = str(error).lower()
    return (
        reason_of(error) in _PASSING_REASONS
        or any(race in text for race in _RACES)
        or isinstance(error, google.TooManyRequests | google.ServerError)
    )


def reason_of(error: google.GoogleAPICallError) -> str:
    details = error.errors[0] if error.errors else None
    return str(details.get("reason", "")) if isinstance(details, dict) else ""


def message_of(error: BaseException) -> str:
    """One bounded line; job errors otherwise bring the statement's lines and the job id along."""
    text = str(getattr(error, "message", "") or error)
    line = " ".join(text.partition("\n\nLocation:")[0].split())
    return line if len(line) <= _MESSAGE_LIMIT else f"{line[: _MESSAGE_LIMIT - 1]}…"


def explain(error: BaseException, doing: str, place: Place) -> HelpdeskAssetsError:
    """Our error for google's. `doing` completes "BigQuery failed while …"."""
    cause = error.cause if isinstance(error, google.RetryError) and error.cause else error
    if isinstance(cause, google.GoogleAPICallError):
        return _from_answer(cause, doing, place)
    if isinstance(cause, auth.RefreshError | auth.DefaultCredentialsError):
        return _no_right(cause, doing, place)
    return WarehouseUnavailable(
        f"BigQuery at {place.endpoint} did not answer while {doing}: {message_of(cause)}. "
        + (
            "Start it with `helpdesk-assets warehouse`, or correct BIGQUERY_EMULATOR_HOST."
            if place.is_emulator
            else "Run again later."
        )
    )


def _from_answer(error: google.GoogleAPICallError, doing: str, place: Place) -> HelpdeskAssetsError:
    text = message_of(error)
    if NULL_KEY in text:
        key = text.partition(NULL_KEY)[2].split()[0].strip(";:,.")
        return NullKey(
            f"{NULL_KEY} {key}: a row without its key would be inserted again on every run. "
            f"Nothing was written; correct the query or the rows that {doing} reads."
        )
    if reason_of(error) == "quotaExceeded":
        return WarehouseRefused(
            f"BigQuery's quota is used up, seen while {doing}: {text}. Wait at least ten minutes "
            "(a daily quota: until tomorrow), or ask for more under IAM & Admin, Quotas."
        )
    if passes(error):
        return WarehouseUnavailable(
            f"BigQuery kept failing while {doing}: {text}. Nothing is half-written; run again."
        )
    if isinstance(error, google.NotFound) or _hides_a_missing_dataset(error, place):
        return WarehouseRefused(
            f"BigQuery found no such thing while {doing}: {text}. Check BIGQUERY_DATASET "
            f"({place.dataset}) in project {place.project} and BIGQUERY_LOCATION "
            f"({place.location or 'not set'}): tables are only found in their dataset's location."
        )
    if isinstance(error, google.Unauthorized) or (
        isinstance(error, google.Forbidden) and not reason_of(error).startswith("billing")
    ):
        return _no_right(error, doing, place)
    return WarehouseRefused(f"BigQuery refused while {doing}: {text}")


def _hides_a_missing_dataset(error: google.GoogleAPICallError, place: Place) -> bool:
    """bqemulator says 403 for a dataset that is not there; it knows no rights at all."""
    return place.is_emulator and isinstance(error, google.Forbidden)


def _no_right(error: BaseException, doing: str, place: Place) -> CredentialsRefused:
    return CredentialsRefused(
        f"BigQuery refused the credentials while {doing}: {message_of(error)}. The identity needs "
        f"roles/bigquery.jobUser on project {place.project} and roles/bigquery.dataEditor on "
        f"dataset {place.dataset}; `gcloud auth application-default login` renews a login."
    )
