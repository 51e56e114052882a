"""Answers of BigQuery that the stand-ins do not give, with their texts.

Each text is from the named source. Where no source was found it is marked as such; the reason, by
which clients decide, is from the page of BigQuery's error messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from helpdesk_assets_tests.reverse_proxy import Reply

# What stands before the service answers so when it loses patience: HTML, and no reason in it.
# The shape of Google's front end; python-bigquery retries no unstructured 504.
GATEWAY_TIMEOUT = Reply(
    504,
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 504 (Gateway Timeout)!!1</title>\n"
    b"<p><b>504.</b> <ins>That\xe2\x80\x99s an error.</ins>",
    (("Content-Type", "text/html; charset=UTF-8"),),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as BigQuery words it; of a request, or of a job that has ended with it."""

    status: int
    reason: str
    message: str
    location: str = ""

    @property
    def detail(self) -> dict[str, Any]:
        """The error as one of the list."""
        where = {"location": self.location} if self.location else {}
        return {"reason": self.reason, "message": self.message, **where}

    def reply(self) -> Reply:
        """Return the error as the answer to a request."""
        error = {"code": self.status, "message": self.message, "errors": [self.detail]}
        return said({"error": error}, self.status)


def said(content: Mapping[str, Any], status: int = 200) -> Reply:
    """Return an answer with this content."""
    return Reply(status, json.dumps(content).encode())


def job_exists(job: str) -> Refusal:
    """A job of this id has been made before. Source: google's client, `_job_helpers`."""
    return Refusal(409, "duplicate", f"Already Exists: Job {job}")


def job_not_found(job: str) -> Refusal:
    """Source: python-bigquery issue 2134, where it follows a 409."""
    return Refusal(404, "notFound", f"Not found: Job {job}")


def queue_full(table: str) -> Refusal:
    """Two run and 20 wait. Source: m-lab/etl-gardener issue 293."""
    return Refusal(
        400,
        "resourcesExceeded",
        "Resources exceeded during query execution: Too many DML statements outstanding against "
        f"table {table}, limit is 20.",
    )


def queue_quota(table: str) -> Refusal:
    """The other text for a full queue. Source: quoted in a dozen public repositories."""
    return Refusal(
        403,
        "quotaExceeded",
        f"Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a "
        f"table, pending + running: {table}",
        "max_dml_outstanding_per_table",
    )


def not_serialized(table: str) -> Refusal:
    """Three reruns were in vain. Source: confluentinc/kafka-connect-bigquery issue 279."""
    return Refusal(
        400,
        "invalidQuery",
        f"Could not serialize access to table {table} due to concurrent update",
        "query",
    )


def timed_out(seconds: float) -> Refusal:
    """`jobTimeoutMs` is over. The reason is documented; the text is unverified."""
    return Refusal(400, "stopped", f"Job execution was cancelled: Job timed out after {seconds:g}s")


def cancelled() -> Refusal:
    """Somebody cancelled it. Source: texts quoted with jobs.cancel."""
    return Refusal(400, "stopped", "Job execution was cancelled: User requested cancellation")


def over_limit(limit: int, needed: int) -> Refusal:
    """`maximumBytesBilled` would be exceeded. Source: the page on controlling costs."""
    return Refusal(
        400,
        "bytesBilledLimitExceeded",
        f"Query exceeded limit for bytes billed: {limit}. {needed} or higher required.",
    )


def other_location(dataset: str, location: str) -> Refusal:
    """The dataset is somewhere else. Source: the page on locations."""
    return Refusal(
        404, "notFound", f"Not found: Dataset {dataset} was not found in location {location}"
    )


def sandbox() -> Refusal:
    """The project has no billing. Source: dlt's documentation of its BigQuery destination."""
    return Refusal(
        403,
        "billingNotEnabled",
        "Billing has not been enabled for this project. Enable billing at "
        "https://console.cloud.google.com/billing. DML queries are not allowed in the free tier. "
        "Set up a billing account to remove this restriction.",
    )


def streaming_buffer(table: str) -> Refusal:
    """The statement might touch rows of insertAll. Source: the page on DML."""
    return Refusal(
        400,
        "invalidQuery",
        f"UPDATE or DELETE statement over table {table} would affect rows in the streaming "
        "buffer, which is not supported",
        "query",
    )
