"""Rules of datasets and tables that the stand-ins forget: location, expirations, billing, streams.

The proxy remembers what was set, adds it to what the stand-in answers, and acts by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from helpdesk_assets_tests.reverse_proxy import Call, Reply
from helpdesk_assets_tests.service_proxy import answers
from helpdesk_assets_tests.service_proxy.answers import Refusal
from helpdesk_assets_tests.service_proxy.dml import TableName
from helpdesk_assets_tests.service_proxy.jobs import Job
from helpdesk_assets_tests.service_proxy.stand_in import StandIn, StandInRefused

_DATASET = re.compile(r"/projects/([^/]+)/datasets(?:/([^/?]+))?$")
_TABLE = re.compile(r"/projects/([^/]+)/datasets/([^/]+)/tables(?:/([^/?]+))?$")
_KEPT = ("location", "defaultTableExpirationMs", "defaultPartitionExpirationMs", "defaultCollation")
_SIZE = ("numRows", "numBytes")
_UNITS = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1)}


@dataclass(slots=True)
class Datasets:
    """What was set for datasets and tables.

    Attributes:
        has_billing: without, no DML runs, as in the sandbox.
        streaming: names of tables that somebody streams into; no UPDATE, DELETE or MERGE may run.
        declared: rows and bytes that tables are said to have, by name.
        now: the time by which partitions expire.
    """

    stand_in: StandIn
    has_billing: bool = True
    streaming: set[str] = field(default_factory=set)
    declared: dict[str, tuple[int, int]] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _datasets: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _expirations: dict[TableName, dict[str, Any]] = field(default_factory=dict)

    def check(self, job: Job) -> Refusal | None:
        """Return why the service refuses a job."""
        if refusal := self._elsewhere(job):
            return refusal
        if job.dml is None:
            return None
        if not self.has_billing:
            return answers.sandbox()
        target = job.dml.target
        if target.table in self.streaming and job.dml.kind != "INSERT":
            return answers.streaming_buffer(target.legacy)
        return None

    def answer(self, call: Call, forward: Callable[[Call], Reply]) -> Reply | None:
        """Answer a call for a dataset's or a table's metadata; None for other calls."""
        path = unquote(call.path.partition("?")[0])
        if named := _DATASET.search(path):
            return self._of_dataset(call, named, forward)
        if named := _TABLE.search(path):
            return self._of_table(call, named, forward)
        return None

    def expire(self, table: TableName) -> None:
        """Drop a table's partitions that are over; called when rows have come.

        BigQuery drops them at once: its page on partitioned tables says so of inserts into
        partitions older than their expiration. A partition's time counts from its end.
        """
        partitioning = self._expirations.get(table, {}).get("timePartitioning") or {}
        if not (lifetime := partitioning.get("expirationMs")) or not partitioning.get("field"):
            return
        unit = partitioning.get("type", "DAY")
        ends = self.now() - timedelta(milliseconds=int(lifetime))
        bound = (ends - _UNITS.get(unit, timedelta(0))).isoformat()
        column = f"`{partitioning['field']}`"
        if unit not in _UNITS:
            column = f"TIMESTAMP_TRUNC({column}, {unit})"
        try:
            self.stand_in.run(
                f"DELETE FROM {table.quoted} WHERE {column} < TIMESTAMP '{bound}'", table.project
            )
        except StandInRefused:
            # The table is gone by now.
            self._expirations.pop(table, None)

    def _elsewhere(self, job: Job) -> Refusal | None:
        """Return the refusal of a job that runs where a dataset of its statement is not."""
        wanted = job.reference.get("location", "")
        sql = (job.configuration.get("query") or {}).get("query", "")
        for (project, dataset), known in self._datasets.items():
            location = known.get("location") or wanted
            if f"{project}.{dataset}." in sql and location.lower() != wanted.lower() != "":
                return answers.other_location(f"{project}:{dataset}", wanted)
        return None

    def _of_dataset(
        self, call: Call, named: re.Match[str], forward: Callable[[Call], Reply]
    ) -> Reply:
        body = _body(call)
        name = named[2] or (body.get("datasetReference") or {}).get("datasetId")
        reply = forward(call)
        if name is None or reply.status >= 300 or not reply.content:
            return reply
        kept = self._datasets.setdefault((named[1], name), {})
        kept |= {key: body[key] for key in _KEPT if key in body}
        return _with(reply, {key: value for key, value in kept.items() if value is not None})

    def _of_table(
        self, call: Call, named: re.Match[str], forward: Callable[[Call], Reply]
    ) -> Reply:
        body = _body(call)
        name = named[3] or (body.get("tableReference") or {}).get("tableId")
        if name is None:
            return forward(call)
        table = TableName(named[1], named[2], name)
        reply = forward(call)
        if call.method == "DELETE" or reply.status == 404:
            self._expirations.pop(table, None)
            return reply
        if reply.status >= 300 or not reply.content:
            return reply
        if call.method == "POST":
            self._expirations[table] = self._inherited(table, body)
        elif call.method in ("PATCH", "PUT"):
            self._keep(table, body)
        size = dict(zip(_SIZE, map(str, self.declared.get(name, ())), strict=False))
        return _with(reply, self._expirations.get(table, {}) | size)

    def _inherited(self, table: TableName, body: dict[str, Any]) -> dict[str, Any]:
        """Return a new table's expirations, its own or else the dataset's.

        Source: the reference of Dataset. A default for partitions takes the place of the one for
        tables where a table has partitions.
        """
        known = self._datasets.get((table.project, table.dataset), {})
        found = {key: body[key] for key in ("expirationTime", "timePartitioning") if body.get(key)}
        if "view" in body:
            return {}
        partitions = known.get("defaultPartitionExpirationMs")
        if "timePartitioning" in found and partitions:
            found["timePartitioning"] = {
                "expirationMs": str(partitions),
                **found["timePartitioning"],
            }
        elif (lifetime := known.get("defaultTableExpirationMs")) and "expirationTime" not in found:
            at = self.now() + timedelta(milliseconds=int(lifetime))
            found["expirationTime"] = str(int(at.timestamp() * 1000))
        return found

    def _keep(self, table: TableName, body: dict[str, Any]) -> None:
        kept = self._expirations.setdefault(table, {})
        for key in ("expirationTime", "timePartitioning"):
            if key in body:
                kept.pop(key, None)
                if body[key] is not None:
                    kept[key] = body[key]


def _body(call: Call) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(call.body) if call.body else {}
    return content


def _with(reply: Reply, more: dict[str, Any]) -> Reply:
    """Return an answer with these fields beside or instead of its own."""
    content = json.loads(reply.content)
    partitioning = {**content.get("timePartitioning", {}), **more.get("timePartitioning", {})}
    content |= more | ({"timePartitioning": partitioning} if partitioning else {})
    headers = [each for each in reply.headers if each[0].lower() != "content-encoding"]
    return Reply(reply.status, json.dumps(content).encode(), headers)
