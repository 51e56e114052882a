"""Lets statements on one table overlap as BigQuery does, on a stand-in that runs one at a time.

Each works on the snapshot of its start and is committed at its end. Two that update or delete rows
of one partition conflict: the later one is run again, three times, and then fails. Statements that
only insert never conflict, so that two of them insert one key twice. (BigQuery's page on DML:
"DML statement conflicts".)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from helpdesk_assets_tests.service_proxy.answers import not_serialized
from helpdesk_assets_tests.service_proxy.dml import Dml, TableName
from helpdesk_assets_tests.service_proxy.jobs import Job
from helpdesk_assets_tests.service_proxy.stand_in import StandIn, StandInRefused

MAX_RERUNS = 3
# The label of rows that have no partition, and of all rows of a table without partitions.
NO_PARTITION = ""

Partitions = frozenset[str]


@dataclass(frozen=True, slots=True)
class Commit:
    """A statement that was committed, and the partitions in which it updated or deleted rows."""

    at: float
    changed: Partitions


@dataclass(slots=True)
class TableHistory:
    """What has happened to a table while statements on it were under way.

    Attributes:
        under_way: the jobs that run on it.
        commits: while any of them was.
        copies: a copy of the table by how many commits it has.
    """

    under_way: list[Job] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    copies: dict[int, TableName] = field(default_factory=dict)


class Overlaps:
    """The histories of all tables.

    Args:
        stand_in: where the tables are.
        keys: the keys of tables by name, for statements whose ON names none.
        execute: runs a job on the stand-in and keeps its answer.
    """

    def __init__(
        self,
        stand_in: StandIn,
        keys: Mapping[str, tuple[str, ...]],
        execute: Callable[[Job], None],
    ) -> None:
        self._stand_in = stand_in
        self._keys = keys
        self._execute = execute
        self._histories: dict[TableName, TableHistory] = {}

    def begin(self, job: Job, dml: Dml) -> None:
        """A job starts now; from now on, its commit looks at what others do meanwhile."""
        history = self._histories.setdefault(dml.target, TableHistory())
        history.under_way.append(job)
        if len(history.under_way) > 1:
            copy = self._copy(dml.target, history)
            for each in history.under_way:
                # The others began when the table was as it is now: nobody committed since.
                each.snapshot = each.snapshot or copy

    def commit(self, job: Job, dml: Dml, at: float) -> bool:
        """Commit a job whose time has come; False if it is to be run again.

        A job that fails is committed too: with an error.
        """
        history = self._histories[dml.target]
        assert job.started is not None
        since = [commit for commit in history.commits if commit.at > job.started]
        theirs = Partitions().union(*(commit.changed for commit in since))
        if theirs and theirs & self._would_change(job, dml):
            return self._rerun(job, dml)
        others = [each for each in history.under_way if each is not job]
        before = self._copy(dml.target, history) if others else None
        with_hidden = _keys(dml, self._keys) if since and job.snapshot else ()
        if with_hidden and job.snapshot:
            self._execute_without_the_others(job, dml, job.snapshot, with_hidden)
        else:
            self._execute(job)
        if before is not None and job.may_have_changed_rows:
            history.commits.append(Commit(at, self._changed(before, dml.target, dml.target)))
        self.end(job, dml)
        return True

    def end(self, job: Job, dml: Dml) -> None:
        """A job is no longer under way; copies that nobody needs are dropped."""
        history = self._histories[dml.target]
        if job in history.under_way:
            history.under_way.remove(job)
        if not history.under_way:
            for copy in history.copies.values():
                self._stand_in.drop(copy)
            del self._histories[dml.target]

    def _rerun(self, job: Job, dml: Dml) -> bool:
        self.end(job, dml)
        job.snapshot = None
        if job.reruns < MAX_RERUNS:
            job.reruns += 1
            return False
        job.error = not_serialized(dml.target.legacy)
        return True

    def _copy(self, table: TableName, history: TableHistory) -> TableName | None:
        """Return a copy of the table as it is now, one for each number of commits."""
        version = len(history.commits)
        if version not in history.copies:
            copy = table.beside(f"as_of_{uuid.uuid4().hex[:12]}")
            try:
                self._stand_in.copy(table, copy)
            except StandInRefused:
                # There is no such table: the statements will say so.
                return None
            history.copies[version] = copy
        return history.copies[version]

    def _execute_without_the_others(
        self, job: Job, dml: Dml, snapshot: TableName, keys: tuple[str, ...]
    ) -> None:
        """Run a job while the rows that others have inserted since its start are hidden.

        A row is theirs if the snapshot lacks it; unless they have updated it, in a partition that
        this job does not change.
        """
        target, hidden = dml.target, dml.target.beside(f"hidden_{uuid.uuid4().hex[:12]}")
        same = " AND ".join(f"N.`{key}` = S.`{key}`" for key in keys)
        self._stand_in.run(
            f"CREATE TABLE {hidden.quoted} AS SELECT * FROM {target.quoted} AS N "
            f"WHERE TO_JSON_STRING(N) NOT IN "
            f"(SELECT TO_JSON_STRING(S) FROM {snapshot.quoted} AS S) "
            f"AND NOT EXISTS (SELECT 1 FROM {snapshot.quoted} AS S WHERE {same} "
            f"AND TO_JSON_STRING(S) NOT IN (SELECT TO_JSON_STRING(A) FROM {target.quoted} AS A))",
            target.project,
        )
        self._stand_in.run(
            f"DELETE FROM {target.quoted} AS N WHERE TO_JSON_STRING(N) IN "
            f"(SELECT TO_JSON_STRING(H) FROM {hidden.quoted} AS H)",
            target.project,
        )
        self._execute(job)
        self._stand_in.run(
            f"INSERT INTO {target.quoted} SELECT * FROM {hidden.quoted}", target.project
        )
        self._stand_in.drop(hidden)

    def _would_change(self, job: Job, dml: Dml) -> Partitions:
        """Return the partitions in which the job updates or deletes rows of its snapshot."""
        if job.snapshot is None:
            return Partitions()
        tried = dml.target.beside(f"tried_{uuid.uuid4().hex[:12]}")
        self._stand_in.copy(job.snapshot, tried)
        parameters = job.configuration["query"].get("queryParameters") or []
        self._stand_in.run_job(dml.target.project, dml.on(tried), parameters)
        changed = self._changed(job.snapshot, tried, dml.target)
        self._stand_in.drop(tried)
        return changed

    def _changed(self, before: TableName, after: TableName, table: TableName) -> Partitions:
        """Return the partitions of rows that are no longer as they were."""
        partition = self._partition_of(table)
        rows = self._stand_in.run(
            f"SELECT DISTINCT {partition} FROM {before.quoted} AS B "
            f"WHERE TO_JSON_STRING(B) NOT IN "
            f"(SELECT TO_JSON_STRING(A) FROM {after.quoted} AS A)",
            table.project,
        )
        return frozenset(str(value or NO_PARTITION) for (value,) in rows)

    def _partition_of(self, table: TableName) -> str:
        """Return the expression that names a row's partition."""
        partitioning = (self._stand_in.table(table) or {}).get("timePartitioning") or {}
        column = partitioning.get("field")
        if not column:
            return f"'{NO_PARTITION}'"
        return f"CAST(TIMESTAMP_TRUNC(B.`{column}`, {partitioning['type']}) AS STRING)"


def _keys(dml: Dml, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return dml.keys or known.get(dml.target.table, ())
