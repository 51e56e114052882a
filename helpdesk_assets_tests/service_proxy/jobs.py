"""A job of the proxy, and how the service describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from helpdesk_assets_tests.reverse_proxy import Call
from helpdesk_assets_tests.service_proxy.answers import Refusal
from helpdesk_assets_tests.service_proxy.dml import Dml, TableName

# An arbitrary day, from which the proxy's clock counts.
EPOCH_MS = 1_793_000_000_000


@dataclass(slots=True)
class Job:
    """A job from jobs.insert on.

    Attributes:
        reference: project, id and location.
        configuration: as the client gave it.
        call: the request, to be sent to the stand-in when the job commits.
        created: when it was accepted.
        dml: its statement if it changes a table.
        started: when it began to run, None while it waits; again at each rerun.
        ends: when it will commit.
        snapshot: a copy of the target as it was at `started`; None while nobody else is under way.
        reruns: how often it was begun again because of a conflict.
        ended: when it ended.
        error: with what it failed.
        answer: the stand-in's description of the finished job.
        price: bytes that it bills, None if no model is there.
    """

    reference: Mapping[str, str]
    configuration: dict[str, Any]
    call: Call
    created: float
    dml: Dml | None
    started: float | None = None
    ends: float | None = None
    snapshot: TableName | None = None
    reruns: int = 0
    ended: float | None = None
    error: Refusal | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    price: int | None = None

    @property
    def job_id(self) -> str:
        return self.reference["jobId"]

    @property
    def full_name(self) -> str:
        """The id as messages and resources write it."""
        where = self.reference
        return f"{where['projectId']}:{where.get('location') or 'US'}.{where['jobId']}"

    @property
    def state(self) -> str:
        if self.ended is not None:
            return "DONE"
        return "PENDING" if self.started is None else "RUNNING"

    @property
    def timeout(self) -> float | None:
        """When the service stops it: `jobTimeoutMs` counts from its creation.

        The page says neither that nor whether waiting counts; this is the unfriendlier reading.
        """
        limit = self.configuration.get("jobTimeoutMs")
        return None if limit is None else self.created + float(limit) / 1000

    def resource(self) -> dict[str, Any]:
        """Return the job as jobs.get and jobs.insert describe it."""
        status: dict[str, Any] = {"state": self.state}
        if self.error is not None:
            status |= {"errorResult": self.error.detail, "errors": [self.error.detail]}
        statistics = {"creationTime": _as_ms(self.created), **self._times(), **self._bytes()}
        return {
            **self.answer,
            "kind": "bigquery#job",
            "id": self.full_name,
            "jobReference": {"location": "US", **self.reference},
            "configuration": self.configuration,
            "user_email": "tests@example.invalid",
            "status": self.answer.get("status") if self._was_run else status,
            "statistics": statistics,
        }

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error, ours or the stand-in's."""
        return self.error is not None or "errorResult" in self.answer.get("status", {})

    @property
    def may_have_changed_rows(self) -> bool:
        """Whether it wrote something, as far as the stand-in says."""
        query = self.answer.get("statistics", {}).get("query", {})
        return not self.has_failed and str(query.get("numDmlAffectedRows")) != "0"

    @property
    def _was_run(self) -> bool:
        return self.error is None and "status" in self.answer

    def _times(self) -> dict[str, str]:
        times = {"startTime": self.started, "endTime": self.ended}
        return {name: _as_ms(at) for name, at in times.items() if at is not None}

    def _bytes(self) -> dict[str, Any]:
        told: dict[str, Any] = dict(self.answer.get("statistics") or {})
        told = {name: value for name, value in told.items() if not name.endswith("Time")}
        if self.price is None or self.error is not None:
            return told
        price = str(self.price)
        query = {**told.get("query", {}), "totalBytesProcessed": price, "totalBytesBilled": price}
        return {**told, "totalBytesProcessed": price, "query": query}


def _as_ms(at: float) -> str:
    return str(EPOCH_MS + int(at * 1000))
