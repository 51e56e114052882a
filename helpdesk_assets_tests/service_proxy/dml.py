"""A data-changing statement as the proxy must know it: its target, its keys, and other targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import sqlglot
from sqlglot import exp

_VERBS = re.compile(r"\s*(MERGE|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableName:
    project: str
    dataset: str
    table: str

    @property
    def quoted(self) -> str:
        """The name as a statement writes it."""
        return f"`{self.project}.{self.dataset}.{self.table}`"

    @property
    def legacy(self) -> str:
        """The name as error messages write it."""
        return f"{self.project}:{self.dataset}.{self.table}"

    def beside(self, suffix: str) -> TableName:
        """Return the name of a table in the same dataset."""
        return TableName(self.project, self.dataset, f"{self.table}__{suffix}")


@dataclass(frozen=True, slots=True)
class Dml:
    """A statement that changes a table.

    Attributes:
        sql: its text.
        kind: MERGE, INSERT, UPDATE or DELETE.
        target: the table.
        keys: the target's columns that ON compares with the source; empty if there are none.
    """

    sql: str
    kind: str
    target: TableName
    keys: tuple[str, ...]

    @classmethod
    def parse(cls, sql: str, project: str, dataset: str = "") -> Self | None:
        """Return the statement; None if it changes no table.

        Args:
            sql: the text.
            project: that of the job, for names without one.
            dataset: the job's default dataset.
        """
        verb = _VERBS.match(sql)
        if verb is None:
            return None
        tree = sqlglot.parse_one(sql, read="bigquery")
        named = tree.this.find(exp.Table)
        assert named is not None, sql
        name = TableName(named.catalog or project, named.db or dataset, named.name)
        return cls(sql, verb[1].upper(), name, tuple(_compared(tree)))

    def on(self, other: TableName) -> str:
        """Return the text with another table in place of the target, wherever that is named."""
        parts = (self.target.project, self.target.dataset, self.target.table)
        apart = r"`?\.`?".join(map(re.escape, parts))
        return re.sub(f"`?{apart}`?(?![A-Za-z0-9_])", other.quoted, self.sql)


def _compared(tree: exp.Expr) -> Iterator[str]:
    """Yield the columns of T that ON compares with a column of the source."""
    if not isinstance(tree, exp.Merge):
        return
    target = tree.this.alias_or_name
    for part in _conjuncts(tree.args["on"]):
        sides = [part.left, part.right] if isinstance(part, exp.EQ) else []
        columns = [side for side in sides if isinstance(side, exp.Column)]
        if len(columns) == 2 and len({column.table for column in columns}) == 2:
            yield from (column.name for column in columns if column.table == target)


def _conjuncts(on: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(on, exp.And):
        yield from _conjuncts(on.left)
        yield from _conjuncts(on.right)
    else:
        yield on
