"""Records every job that the package starts, as handed to google's client."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlglot
from google.cloud import bigquery
from sqlglot import exp

CHANGES = (exp.Merge, exp.Insert, exp.Update, exp.Delete)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query job: its SQL, its parsed form, and the body of its request."""

    sql: str
    tree: exp.Expr
    job_id: str
    config: Mapping[str, Any]

    @property
    def parameters(self) -> Sequence[Mapping[str, Any]]:
        """Return the parameters in the API's format."""
        found: Sequence[Mapping[str, Any]] = self.config["query"].get("queryParameters", ())
        return found

    @property
    def changed_table(self) -> str | None:
        """Return the name of the table that a data-changing statement writes."""
        if not isinstance(self.tree, CHANGES):
            return None
        target = self.tree.this.find(exp.Table)
        assert target is not None
        return str(target.name)


@dataclass(frozen=True, slots=True)
class Load:
    table: str
    disposition: str


@dataclass(slots=True)
class Recording:
    """The started jobs in order, and how many data-changing ones of a table ran at once."""

    statements: list[Statement] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    most_at_once: dict[str, int] = field(default_factory=dict)
    _running: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, statement: Statement) -> None:
        with self._lock:
            self.statements.append(statement)
            if table := statement.changed_table:
                running = self._running[table] = self._running.get(table, 0) + 1
                self.most_at_once[table] = max(running, self.most_at_once.get(table, 0))

    def ended(self, statement: Statement) -> None:
        with self._lock:
            if table := statement.changed_table:
                self._running[table] -= 1

    @property
    def merges(self) -> list[Statement]:
        return [each for each in self.statements if isinstance(each.tree, exp.Merge)]


@contextmanager
def recording() -> Iterator[Recording]:
    """Record the jobs of every client in this process; the local warehouse runs them too."""
    made = Recording()
    query, load = bigquery.Client.query, bigquery.Client.load_table_from_file
    result, running = bigquery.QueryJob.result, dict[str, Statement]()

    def recorded_query(
        client: bigquery.Client, sql: str, job_config: Any, job_id: str, **more: Any
    ) -> Any:
        statement = Statement(sql, parse(sql), job_id, job_config.to_api_repr())
        made.started(statement)
        try:
            job = query(client, sql, job_config=job_config, job_id=job_id, **more)
        except BaseException:
            made.ended(statement)
            raise
        running[job_id] = statement
        return job

    def recorded_result(job: bigquery.QueryJob, *args: Any, **more: Any) -> Any:
        try:
            return result(job, *args, **more)
        finally:
            if statement := running.pop(str(job.job_id), None):
                made.ended(statement)

    def recorded_load(client: bigquery.Client, stream: Any, table: str, **more: Any) -> Any:
        disposition = str(more["job_config"].write_disposition)
        made.loads.append(Load(table.rpartition(".")[2], disposition))
        return load(client, stream, table, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigquery.Client, "query", recorded_query)
        patch.setattr(bigquery.Client, "load_table_from_file", recorded_load)
        patch.setattr(bigquery.QueryJob, "result", recorded_result)
        yield made


def parse(sql: str) -> exp.Expr:
    """Parse the one statement of a job.

    BigQuery treats several statements as a script, and this project has no scripts.
    """
    (tree,) = sqlglot.parse(sql, read="bigquery")
    assert tree is not None
    return tree
