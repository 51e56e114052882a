"""The mapping from google's errors to ours, and their advice."""

from __future__ import annotations

from concurrent import futures
from typing import Any

import pytest
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
from helpdesk_assets.warehouse.bigquery.error_kinds import is_transient, message_of
from helpdesk_assets.warehouse.bigquery.errors import Target, to_error

REAL = Target("acme", "helpdesk_data", "EU", "https://bigquery.googleapis.com", False)
LOCAL = Target("acme", "helpdesk_data", None, "http://127.0.0.1:9050", True)


def answer(kind: Any, text: str, reason: str = "") -> google.GoogleAPICallError:
    error: google.GoogleAPICallError = kind(text, errors=[{"reason": reason}])
    return error


def given_up(cause: Exception) -> google.RetryError:
    return google.RetryError("deadline", cause=cause)  # type: ignore[no-untyped-call]


EXPIRED = auth.RefreshError("expired")  # type: ignore[no-untyped-call]
RACES = [
    "Could not serialize access to table acme:d.tickets due to concurrent update",
    "Transaction is aborted due to concurrent update against table acme:d.tickets",
    "Resources exceeded: Too many DML statements outstanding against table acme:d.t, limit is 20",
    "Exceeded rate limits: too many table update operations for this table",
]
TRANSIENT = [
    *(answer(google.BadRequest, text, "invalidQuery") for text in RACES),
    answer(google.Forbidden, "slow down", "rateLimitExceeded"),
    answer(google.BadRequest, "slow down", "jobRateLimitExceeded"),
    answer(google.BadRequest, "try again", "backendError"),
    answer(google.InternalServerError, "an internal error", "internalError"),
    answer(google.ServiceUnavailable, "later", ""),
    answer(google.TooManyRequests, "later", ""),
]
PERMANENT = [
    answer(google.Forbidden, "Quota exceeded: load jobs per table per day", "quotaExceeded"),
    answer(google.Forbidden, "no right", "accessDenied"),
    answer(google.BadRequest, "Syntax error", "invalidQuery"),
    answer(google.NotFound, "no dataset", "notFound"),
    ValueError("ours"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=str)
def test_transient_errors(error: google.GoogleAPICallError) -> None:
    assert is_transient(error)
    assert isinstance(to_error(error, "writing", REAL), WarehouseUnavailable)


@pytest.mark.parametrize("error", PERMANENT, ids=str)
def test_permanent_errors(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("error", "target", "kind", "words"),
    [
        (PERMANENT[0], REAL, WarehouseRefused, ["quota", "ten minutes"]),
        (
            answer(
                google.InternalServerError,
                "Query exceeded limit for bytes billed: 10485760. 26214400 or higher required.",
                "bytesBilledLimitExceeded",
            ),
            REAL,
            WarehouseRefused,
            ["BIGQUERY_MAX_BYTES_BILLED", "26214400 or higher", "Nothing was billed"],
        ),
        (
            PERMANENT[1],
            REAL,
            CredentialsRefused,
            ["roles/bigquery.jobUser on project acme", "roles/bigquery.dataEditor on dataset"],
        ),
        (answer(google.Unauthorized, "who?"), REAL, CredentialsRefused, ["gcloud auth"]),
        (EXPIRED, REAL, CredentialsRefused, ["gcloud auth"]),
        (
            answer(google.NotFound, "Not found: Dataset acme:x was not found in location US"),
            REAL,
            WarehouseRefused,
            ["BIGQUERY_DATASET (helpdesk_data)", "BIGQUERY_LOCATION (EU)"],
        ),
        (PERMANENT[1], LOCAL, WarehouseRefused, ["BIGQUERY_DATASET"]),
        (
            answer(google.Forbidden, "enable billing", "billingNotEnabled"),
            REAL,
            WarehouseRefused,
            ["enable billing"],
        ),
        (PERMANENT[2], REAL, WarehouseRefused, ["refused while writing: Syntax error"]),
        (
            answer(
                google.BadRequest,
                "UPDATE/MERGE must match at most one source row for each target row",
                "invalidQuery",
            ),
            REAL,
            WarehouseRefused,
            ["at most one source row"],
        ),
        (
            answer(google.BadRequest, "x: NULL key in tickets.ticket_id; reason: invalidQuery"),
            REAL,
            NullKey,
            ["NULL key in tickets.ticket_id:", "Nothing was written"],
        ),
        (
            requests.ConnectionError("refused"),
            LOCAL,
            WarehouseUnavailable,
            ["http://127.0.0.1:9050", "helpdesk-assets warehouse"],
        ),
        (
            given_up(requests.ConnectionError("refused")),
            REAL,
            WarehouseUnavailable,
            ["bigquery.googleapis.com", "refused", "Run again later"],
        ),
        (
            given_up(PERMANENT[1]),
            REAL,
            CredentialsRefused,
            ["roles/bigquery.jobUser"],
        ),
        (futures.TimeoutError(), REAL, WarehouseUnavailable, ["did not answer"]),
    ],
)
def test_each_error_says_what_to_do(
    error: Exception, target: Target, kind: type[HelpdeskAssetsError], words: list[str]
) -> None:
    translate_errors = to_error(error, "writing", target)
    assert type(translate_errors) is kind
    assert all(word in str(translate_errors) for word in words), str(translate_errors)
    assert "\n" not in str(translate_errors)


def test_long_message_is_truncated_without_the_job_id() -> None:
    error = google.BadRequest("x" * 5000 + "\n\nLocation: US\nJob ID: 1")  # type: ignore[no-untyped-call]
    assert len(message_of(error)) == 300
    short = google.BadRequest("a\n b\n\nLocation: US\nJob ID: 1")  # type: ignore[no-untyped-call]
    assert message_of(short) == "a b"
