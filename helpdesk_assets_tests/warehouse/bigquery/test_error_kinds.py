"""Which error may pass, which one a row has caused, and what each refusal is about."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions as google

from helpdesk_assets.errors import (
    CredentialsRefused,
    DataRefused,
    RetryableError,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.warehouse.bigquery.error_kinds import is_transient, is_value_fault
from helpdesk_assets.warehouse.bigquery.errors import Target, to_error
from helpdesk_assets_tests.warehouse.bigquery.test_errors import (
    LOCAL,
    PERMANENT,
    REAL,
    TRANSIENT,
    answer,
)

QUEUE = (
    "Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a table, "
    "pending + running. For more information, see "
    "https://cloud.google.com/bigquery/troubleshooting-errors"
)
STREAMED = (
    "UPDATE or DELETE statement over table p.d.tickets would affect rows in the streaming buffer, "
    "which is not supported"
)


def too_large(text: str) -> google.GoogleAPICallError:
    error = google.from_http_status(413, text)  # type: ignore[no-untyped-call]
    assert isinstance(error, google.GoogleAPICallError)
    return error


@pytest.mark.parametrize(
    "error",
    [
        answer(google.Forbidden, QUEUE, "quotaExceeded"),
        google.Forbidden(  # type: ignore[no-untyped-call]
            "Quota exceeded",
            errors=[{"reason": "quotaExceeded", "location": "max_dml_outstanding_per_table"}],
        ),
        answer(google.BadRequest, "The DML statement has been queued for too long", "invalidQuery"),
        answer(google.Forbidden, "DML statement has been queued for too long", "quotaExceeded"),
        answer(google.BadGateway, "Bad Gateway", "badGateway"),
        answer(google.GatewayTimeout, "upstream request timeout"),
    ],
    ids=str,
)
def test_full_queue_is_no_quota_of_the_day(error: google.GoogleAPICallError) -> None:
    assert is_transient(error)
    told = to_error(error, "writing", REAL)
    assert type(told) is WarehouseUnavailable
    assert "ten minutes" not in str(told)


VALUE_FAULTS = [
    (
        "Invalid input to PARSE_JSON: Input number: 0.915908 cannot round-trip through string "
        "representation; error in PARSE_JSON expression"
    ),
    "Invalid input to PARSE_JSON: syntax error while parsing value - invalid literal",
    "Invalid timestamp: '2026-13-01'",
    "Invalid date: '0000-00-00'",
    'Failed to parse input string "x"',
    'Could not cast literal "x" to type TIMESTAMP',
    "Bad int64 value: 1.5",
    "Bad double value: x",
    "int64 overflow: 9223372036854775807 + 1",
    "TIMESTAMP value is out of allowed range: from 0001-01-01 to 9999-12-31",
    "division by zero: 1 / 0",
    "Required field ticket_id cannot be null",
    "Cannot query rows larger than 100MB limit.",
    "Error while reading data, error message: JSON parsing error in row starting at position 0",
]


@pytest.mark.parametrize("text", VALUE_FAULTS)
@pytest.mark.parametrize("reason", ["invalidQuery", "invalid", ""])
def test_what_a_row_has_caused_is_data_refused(text: str, reason: str) -> None:
    error = answer(google.BadRequest, text, reason)
    assert is_value_fault(error)
    assert isinstance(to_error(error, "writing", REAL), DataRefused)


def test_request_that_is_too_large_is_a_rows_fault() -> None:
    error = too_large("Request payload size exceeds the limit: 10485760 bytes.")
    assert isinstance(to_error(error, "writing", REAL), DataRefused)


STATEMENT_FAULTS = [
    "Syntax error: Unexpected keyword MERGE at [1:1]",
    "Unrecognized name: ticket_idd at [3:4]",
    "No matching signature for function PARSE_JSON for argument types: INT64",
    "Invalid date part: FORTNIGHT",
    "Invalid TIMESTAMP literal at [2:9]",
    "Invalid time zone: Mars/Olympus",
    'Table "x" must be qualified with a dataset (e.g. dataset.table).',
    "Query column 3 has type STRING which cannot be inserted into column a, which has type INT64",
    "UPDATE/MERGE must match at most one source row for each target row",
    "Cannot query over table 'p.d.tickets' without a filter over column(s) 'createdTime'",
    "Query error: Query exceeded limit for bytes billed: 10485760. 20971520 or higher required.",
    STREAMED,
]
NOT_A_ROWS_FAULT = [
    *TRANSIENT,
    *(each for each in PERMANENT if isinstance(each, google.GoogleAPICallError)),
    *(answer(google.BadRequest, text, "invalidQuery") for text in STATEMENT_FAULTS),
    answer(google.NotFound, "Not found: Dataset p:d was not found in location EU", "notFound"),
    answer(google.Forbidden, "Invalid timestamp in a policy", "accessDenied"),
    answer(google.Forbidden, QUEUE, "quotaExceeded"),
    answer(google.BadRequest, "int64 overflow of a quota", "quotaExceeded"),
    answer(google.BadRequest, "billing: value out of range", "billingTierLimitExceeded"),
    answer(google.Conflict, "Already Exists: Table p:d.t", "duplicate"),
    answer(google.Unauthorized, "who?"),
]


@pytest.mark.parametrize("error", NOT_A_ROWS_FAULT, ids=str)
def test_what_no_row_has_caused_is_never_data_refused(error: google.GoogleAPICallError) -> None:
    assert not is_value_fault(error)
    assert not isinstance(to_error(error, "writing", REAL), DataRefused)


LONG = "Request is prohibited by organization's policy " + "about this and that " * 40
PERIMETER_ID = "zvW4mQKV6irg5Nm25Div-and_more"


@pytest.mark.parametrize(
    ("text", "reason", "kind", "words"),
    [
        (
            f"VPC Service Controls: {LONG}vpcServiceControlsUniqueIdentifier: {PERIMETER_ID}",
            "policyViolation",
            WarehouseRefused,
            ["perimeter", f"Its identifier is {PERIMETER_ID}.", "Roles do not help"],
        ),
        (
            f"{LONG} vpcServiceControlsUniqueIdentifier: {PERIMETER_ID}.",
            "",
            WarehouseRefused,
            ["perimeter", PERIMETER_ID],
        ),
        (
            (
                "BigQuery API has not been used in project 123 before or it is disabled. Enable it "
                "by visiting https://console.developers.google.com/apis/api/bigquery"
            ),
            "accessNotConfigured",
            WarehouseRefused,
            ["gcloud services enable bigquery.googleapis.com --project acme"],
        ),
        ("disabled", "SERVICE_DISABLED", WarehouseRefused, ["gcloud services enable"]),
        (
            (
                "Billing has not been enabled for this project. DML queries are not allowed in the "
                "free tier. Set up a billing account to remove this restriction."
            ),
            "billingNotEnabled",
            WarehouseRefused,
            ["project acme has no billing", "link a billing account"],
        ),
        (
            "Request is disallowed by organization's constraints/gcp.resourceLocations constraint",
            "policyViolation",
            WarehouseRefused,
            ["policy of the organisation", "BIGQUERY_LOCATION (EU)"],
        ),
        (
            (
                "Access Denied: Table acme:d.t: Permission bigquery.tables.get denied on table "
                "acme:d.t (or it may not exist)."
            ),
            "accessDenied",
            CredentialsRefused,
            ["or the dataset or table is not there", "BIGQUERY_DATASET (helpdesk_data)"],
        ),
        (
            (
                "Access Denied: Project acme: User does not have bigquery.jobs.create permission "
                "in project acme."
            ),
            "accessDenied",
            CredentialsRefused,
            ["lacks a right", "roles/bigquery.jobUser on project acme"],
        ),
        (
            (
                "Caller does not have required permission to use project acme. Grant the caller "
                "the roles/serviceusage.serviceUsageConsumer role"
            ),
            "",
            CredentialsRefused,
            ["serviceUsageConsumer", "set-quota-project"],
        ),
        (
            (
                "Access Denied: BigQuery: User has neither fine-grained reader nor masked get "
                "permission to get data protected by policy tag"
            ),
            "accessDenied",
            CredentialsRefused,
            ["categoryFineGrainedReader"],
        ),
        (
            "Please grant Cloud KMS CryptoKey Encrypter/Decrypter role",
            "accessDenied",
            CredentialsRefused,
            ["cryptoKeyEncrypterDecrypter"],
        ),
    ],
)
def test_each_403_is_told_by_its_reason(
    text: str, reason: str, kind: type[Exception], words: list[str]
) -> None:
    told = to_error(answer(google.Forbidden, text, reason), "writing", REAL)
    assert type(told) is kind
    for word in words:
        assert word in str(told)
    advised = sum(
        advice in str(told)
        for advice in ("roles/bigquery.", "gcloud services", "perimeter", "billing account to p")
    )
    assert advised <= 1
    assert "\n" not in str(told)
    assert "{" not in str(told)
    assert ".." not in str(told)


def test_rights_name_the_project_that_pays() -> None:
    target = Target("acme", "d", "EU", "https://x", is_emulator=False, paying_project="wallet")
    told = str(to_error(answer(google.Forbidden, "no right", "accessDenied"), "writing", target))
    assert "roles/bigquery.jobUser on project wallet" in told


@pytest.mark.parametrize("target", [REAL, LOCAL])
def test_streamed_rows_are_told_as_something_that_passes(target: Target) -> None:
    told = to_error(answer(google.BadRequest, STREAMED, "invalidQuery"), "writing", target)
    assert isinstance(told, RetryableError)
    for word in ("Another program", "insertAll", "90 minutes", "run again"):
        assert word in str(told)
    assert not is_transient(answer(google.BadRequest, STREAMED, "invalidQuery"))


@pytest.mark.parametrize(
    "error",
    [
        answer(google.NotFound, "Not found: Job acme:EU.helpdesk_1_tickets_0_ab"),
        google.GoogleAPICallError(  # type: ignore[no-untyped-call]
            "Job execution was cancelled: Job timed out after 855s", errors=[{"reason": "stopped"}]
        ),
        answer(google.PreconditionFailed, "Precondition check failed.", "conditionNotMet"),
    ],
    ids=str,
)
def test_what_passes_is_never_told_as_a_wrong_setting(error: Any) -> None:
    told = to_error(error, "writing", REAL)
    assert type(told) is WarehouseUnavailable
    assert "BIGQUERY_" not in str(told)
