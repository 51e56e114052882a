"""Maps google's exceptions, by reason and status, to the package's errors with their advice.

How they are told apart is in `error_kinds`; the kinds of 403 are in `denials`. Must not call
BigQuery.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.api_core import exceptions as google
from google.auth import exceptions as auth

from helpdesk_assets.errors import (
    CredentialsRefused,
    DataRefused,
    HelpdeskAssetsError,
    MachineError,
    NullKey,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.warehouse.bigquery.denials import (
    NO_LOGIN,
    NO_RIGHT,
    Denial,
    denial_of,
    perimeter_id,
)
from helpdesk_assets.warehouse.bigquery.error_kinds import (
    BYTES_LIMIT,
    NO_ANSWER,
    cause_of,
    is_answer_lost,
    is_transient,
    is_value_fault,
    message_of,
    reason_of,
    text_of,
)
from helpdesk_assets.warehouse.query import NULL_KEY

CLIENT_ERRORS = (
    google.GoogleAPIError,
    auth.GoogleAuthError,
    # Also a certificate bundle that is not there, and a disk that is full.
    OSError,
)
# https://cloud.google.com/bigquery/docs/data-manipulation-language#dml-limitations
_STREAMED = "would affect rows in the streaming buffer"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call went, in the terms of the settings."""

    project: str
    dataset: str
    location: str | None
    endpoint: str
    is_emulator: bool
    paying_project: str = ""


def to_error(error: BaseException, action: str, target: Target) -> HelpdeskAssetsError:
    """Return the package's error for one of google's.

    A `DataRefused` is one that a row can have caused; nothing else is.

    Args:
        error: one of `CLIENT_ERRORS`.
        action: what was tried; completes "BigQuery failed while …".
        target: where the call went.
    """
    cause = cause_of(error)
    if isinstance(cause, google.GoogleAPICallError):
        return _from_response(cause, action, target)
    is_login = isinstance(cause, auth.RefreshError | auth.DefaultCredentialsError)
    if is_login and not is_answer_lost(cause):
        return _denied(NO_LOGIN, cause, action, target)
    if isinstance(cause, OSError) and not isinstance(cause, NO_ANSWER):
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
    return (
        _passing(error, action)
        or _of_a_row(error, action)
        or _not_found(error, action, target)
        or _forbidden(error, action, target)
        or WarehouseRefused(f"BigQuery refused while {action}: {message_of(error)}")
    )


def _passing(error: google.GoogleAPICallError, action: str) -> HelpdeskAssetsError | None:
    """Return the error for what passes by itself, and for the quota, which passes slowly."""
    text = message_of(error)
    if is_transient(error):
        return WarehouseUnavailable(
            f"BigQuery kept failing while {action}: {text}. Nothing is half-written; run again."
        )
    if reason_of(error) == "quotaExceeded":
        return WarehouseRefused(
            f"BigQuery's quota was exhausted while {action}: {text}. Wait at least ten minutes "
            "(a daily quota: until tomorrow), or request more under IAM & Admin, Quotas."
        )
    if _STREAMED in text_of(error):
        return WarehouseUnavailable(
            f"BigQuery refused while {action}: {text}. Another program writes rows into that table "
            "by insertAll (`insert_rows`), and BigQuery changes no such row for up to 90 minutes. "
            "Nothing was written and nothing is lost: run again then. Let that program use the "
            "Storage Write API or DML."
        )
    # https://docs.cloud.google.com/bigquery/docs/best-practices-costs#limit-bytes-billed
    if reason_of(error) == BYTES_LIMIT:
        return WarehouseRefused(
            f"BIGQUERY_MAX_BYTES_BILLED forbids it: BigQuery refused while {action}: {text}. "
            "Nothing was billed. Raise the limit; docs/bigquery-cost.md says what each statement "
            "reads."
        )
    # https://cloud.google.com/bigquery/docs/error-messages: "stopped" is a job that was cancelled,
    # by its own time limit (jobTimeoutMs) as well.
    if reason_of(error) == "stopped":
        return WarehouseUnavailable(
            f"BigQuery ended a job while {action}: {text}. It took too long, or somebody cancelled "
            "it. Nothing was changed; run again."
        )
    if isinstance(error, google.PreconditionFailed):
        return WarehouseUnavailable(
            f"Another program changed the same thing while {action}: {text}. Nothing was changed; "
            "run again."
        )
    return None


def _of_a_row(error: google.GoogleAPICallError, action: str) -> DataRefused | None:
    text = text_of(error)
    if NULL_KEY in text:
        key = text.partition(NULL_KEY)[2].split()[0].strip(";:,.")
        return NullKey(
            f"{NULL_KEY} {key}: a row without its key would be inserted again on every run. "
            f"Nothing was written; correct the query or the rows that {action} reads."
        )
    if is_value_fault(error):
        return DataRefused(
            f"BigQuery refused a value while {action}: {message_of(error)}. Nothing was written; "
            "correct the row that has it."
        )
    return None


def _not_found(
    error: google.GoogleAPICallError, action: str, target: Target
) -> HelpdeskAssetsError | None:
    # bqemulator has no rights, and says 403 where a dataset is missing.
    is_hidden = target.is_emulator and isinstance(error, google.Forbidden)
    if not isinstance(error, google.NotFound) and not is_hidden:
        return None
    if text_of(error).lower().startswith("not found: job"):
        # No setting is wrong: a job that was just made may be unknown for a while
        # (https://github.com/googleapis/python-bigquery/issues/2134).
        return WarehouseUnavailable(
            f"BigQuery does not find a job that it took while {action}: {message_of(error)}. Run "
            "again later."
        )
    return WarehouseRefused(
        f"BigQuery did not find the table or dataset while {action}: {message_of(error)}. Check "
        f"BIGQUERY_DATASET ({target.dataset}) in project {target.project} and "
        f"BIGQUERY_LOCATION ({target.location or 'not set'}): tables are found only in their "
        "dataset's location."
    )


def _forbidden(
    error: google.GoogleAPICallError, action: str, target: Target
) -> HelpdeskAssetsError | None:
    if isinstance(error, google.Unauthorized):
        return _denied(NO_LOGIN, error, action, target)
    denial = denial_of(reason_of(error), text_of(error))
    # Billing and policies come with other statuses too.
    if isinstance(error, google.Forbidden) or denial is not NO_RIGHT:
        return _denied(denial, error, action, target)
    return None


def _denied(
    denial: Denial, error: BaseException, action: str, target: Target
) -> HelpdeskAssetsError:
    names = {
        "project": target.project,
        "paying": target.paying_project or target.project,
        "dataset": target.dataset,
        "location": target.location or "not set",
    }
    found = perimeter_id(text_of(error))
    text = message_of(error)
    # A long text is cut, and the identifier stands at its end.
    known = f" Its identifier is {found}." if found and found not in text else ""
    kind = CredentialsRefused if denial.is_rights else WarehouseRefused
    return kind(
        f"BigQuery refused while {action}, since {denial.cause.format(**names)}: {text}.{known} "
        f"{denial.advice.format(**names)}."
    )
