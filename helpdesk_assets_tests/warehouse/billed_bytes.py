"""What on-demand BigQuery would bill for a statement, by its documented formula.

https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#on-demand-query-size-calculation:
a SELECT, an INSERT and a MERGE that only inserts bill the referenced columns of the partitions that
are scanned; an UPDATE, a DELETE and a MERGE with either of them bill all columns of the target's
partitions besides. At least 10 MB are billed for each table and for each statement.

Partitions are left out only by constants. By how much a list of constants on the clustered column
lets blocks be skipped is documented nowhere: a bill has a lower bound, at which only the rows of
the listed keys are read, and an upper bound, at which nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from helpdesk_assets.warehouse.merge.partitions import end_of
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.table_spec import ColumnType, TableSpec

MINIMUM = 10 * 1024 * 1024
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TableOnPaper:
    """A table as BigQuery would store it.

    Attributes:
        spec: its columns, partitioning and clustering.
        partitions: rows by the beginning of their partition.
        text_bytes: the average length of values of STRING and JSON columns, where it is not 20.
    """

    spec: TableSpec
    partitions: Mapping[datetime, float]
    text_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> float:
        """All rows."""
        return sum(self.partitions.values())

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return sum(self.bytes_of(column.name) for column in self.spec.columns)

    def bytes_of(self, name: str) -> int:
        """Return the bytes of a column's value: text counts two more than its length."""
        kinds = {column.name.lower(): column.type for column in self.spec.columns}
        lengths = {column.lower(): length for column, length in self.text_bytes.items()}
        match kinds.get(name.lower()):
            case ColumnType.STRING | ColumnType.JSON:
                return 2 + lengths.get(name.lower(), 20)
            case ColumnType.BOOL:
                return 1
            case None:
                return 0
            case _:
                return 8


@dataclass(frozen=True, slots=True)
class Bill:
    """Bytes billed: if clustering skips all that it could, and if it skips nothing."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Bill) -> Bill:
        """Bill both."""
        return Bill(self.low + other.low, self.high + other.high)

    def __mul__(self, times: float) -> Bill:
        """Bill it so many times."""
        return Bill(self.low * times, self.high * times)


@dataclass(frozen=True, slots=True)
class _Scan:
    """One reading of a table: which columns, and under which conditions."""

    table: TableOnPaper
    columns: frozenset[str]
    conditions: tuple[exp.Expr, ...]
    is_rewritten: bool = False


class PriceList:
    """Prices statements over one set of tables."""

    def __init__(self, tables: Mapping[str, TableOnPaper]) -> None:
        # sqlglot takes names for lower case.
        self._tables = {name.lower(): table for name, table in tables.items()}
        self._schema: dict[str, Any] = {
            name: {column.name: str(column.type) for column in table.spec.columns}
            for name, table in self._tables.items()
        }

    def bill(self, query: Query) -> Bill:
        """Return what a statement would bill."""
        statement = parse_one(query.sql, dialect="bigquery")
        for table in statement.find_all(exp.Table):
            table.set("db", None)
            table.set("catalog", None)
        values = {parameter.name: parameter.value for parameter in query.parameters}
        by_table: dict[str, Bill] = {}
        for scan in self._scans(statement):
            name, read = scan.table.spec.name, _read(scan, values)
            before = by_table.get(name, Bill())
            # Whether a table that is named twice is billed twice is not documented.
            by_table[name] = Bill(max(before.low, read.low), before.high + read.high)
        low = sum(max(MINIMUM, each.low) for each in by_table.values())
        high = sum(max(MINIMUM, each.high) for each in by_table.values())
        return Bill(max(MINIMUM, low), max(MINIMUM, high))

    def _scans(self, statement: exp.Expr) -> Iterator[_Scan]:
        match statement:
            case exp.Merge():
                yield from self._of_merge(statement)
            case exp.Insert():
                yield from self._of_select(statement.expression)
            case exp.Delete() | exp.Update():
                table = self._tables[statement.this.name.lower()]
                where = statement.args.get("where")
                conditions = tuple(_conjuncts(where.this)) if where else ()
                yield _Scan(table, frozenset(), conditions, is_rewritten=True)
            case _:
                yield from self._of_select(statement)

    def _of_merge(self, merge: exp.Merge) -> Iterator[_Scan]:
        source, on = merge.args["using"].this, merge.args["on"]
        whens = merge.args["whens"].expressions
        used = [each for part in (on, *whens) for each in part.find_all(exp.Column)]
        names = sorted({each.name for each in used if each.table == "S"})
        alias = exp.TableAlias(this=exp.to_identifier("S"))
        columns_read: list[exp.Expr] = [exp.column(name, "S") for name in names]
        wrapped = exp.select(*(columns_read or [exp.Literal.number(1)]))
        yield from self._of_select(wrapped.from_(exp.Subquery(this=source.copy(), alias=alias)))
        rewrites = any(_rewrites(when.args["then"]) for when in whens)
        # The columns that an INSERT names are written and not read: they stand without a table.
        columns = frozenset(each.name for each in used if each.table == "T")
        conditions = _conjuncts(on)
        if isinstance(on, exp.Boolean):
            others = (when.args.get("condition") for when in whens)
            conditions = [each for other in others if other for each in _conjuncts(other)]
        table = self._tables[merge.this.name.lower()]
        yield _Scan(table, columns, tuple(conditions), is_rewritten=rewrites)

    def _of_select(self, select: exp.Expr) -> Iterator[_Scan]:
        qualified = qualify(
            select.copy(),
            schema=self._schema,
            dialect="bigquery",
            quote_identifiers=False,
            validate_qualify_columns=False,
        )
        for scope in traverse_scope(pushdown_projections(qualified, schema=self._schema)):
            for alias, source in scope.sources.items():
                if isinstance(source, exp.Table) and source.name.lower() in self._tables:
                    yield self._scan(scope, alias, source)

    def _scan(self, scope: Scope, alias: str, source: exp.Table) -> _Scan:
        columns = frozenset(each.name for each in scope.columns if each.table == alias)
        select, conditions = scope.expression, list[exp.Expr]()
        if where := select.args.get("where"):
            conditions += _conjuncts(where.this)
        for join in select.args.get("joins") or ():
            # The ON of an outer join leaves out rows of its own table alone.
            is_own = join.alias_or_name == alias
            if join.args.get("on") is not None and (is_own or not join.side):
                conditions += _conjuncts(join.args["on"])
        own = (
            each for each in conditions if {c.table for c in each.find_all(exp.Column)} <= {alias}
        )
        return _Scan(self._tables[source.name.lower()], columns, tuple(own))


def _rewrites(action: exp.Expr) -> bool:
    return isinstance(action, exp.Update) or action.name == "DELETE"


def _read(scan: _Scan, values: Mapping[str, Any]) -> Bill:
    table = scan.table
    rows = sum(
        count
        for start, count in table.partitions.items()
        if all(_may_hold(each, scan, start, values) for each in scan.conditions)
    )
    size = sum(table.bytes_of(name) for name in scan.columns)
    if scan.is_rewritten:
        size = table.row_bytes + size
    listed = _listed(scan, values)
    return Bill(size * (rows if listed is None else min(rows, listed)), size * rows)


def _listed(scan: _Scan, values: Mapping[str, Any]) -> int | None:
    """Return how many keys of the clustering a condition lists as constants."""
    clustered = [name.lower() for name in scan.table.spec.cluster_by[:1]]
    for each in scan.conditions:
        if (
            isinstance(each, exp.In)
            and each.this.name.lower() in clustered
            and each.args.get("unnest")
        ):
            names = [parameter.name for parameter in each.find_all(exp.Parameter)]
            if names:
                return len(values[names[0]])
    return None


def _may_hold(condition: exp.Expr, scan: _Scan, start: datetime, values: Mapping[str, Any]) -> bool:
    """Return whether a row of the partition may meet the condition, as far as constants tell."""
    spec = scan.table.spec
    match condition:
        case exp.Paren():
            return _may_hold(condition.this, scan, start, values)
        case exp.Or():
            return any(_may_hold(each, scan, start, values) for each in condition.flatten())
        case exp.And():
            return all(_may_hold(each, scan, start, values) for each in condition.flatten())
        case exp.Is():
            return not _is_partition(condition.this, spec)
        case exp.Between():
            first, last = (_constant(condition.args[each], values) for each in ("low", "high"))
            if first is None or last is None or not _is_partition(condition.this, spec):
                return True
            return start <= last and (end_of(start, spec.partition_unit) or END_OF_TIME) > first
        case exp.GTE() | exp.GT() | exp.LT() | exp.LTE() | exp.EQ():
            constant = _constant(condition.expression, values)
            if constant is None or not _is_partition(condition.this, spec):
                return True
            end = end_of(start, spec.partition_unit) or END_OF_TIME
            match condition:
                case exp.GTE() | exp.GT():
                    return end > constant
                case exp.LT():
                    return start < constant
                case exp.LTE():
                    return start <= constant
            return start <= constant < end
    return True


def _is_partition(column: exp.Expr, spec: TableSpec) -> bool:
    return column.name.lower() == (spec.partition_by or "").lower()


def _constant(expression: exp.Expr, values: Mapping[str, Any]) -> datetime | None:
    value = values.get(expression.name) if isinstance(expression, exp.Parameter) else None
    return value if isinstance(value, datetime) else None


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    unnested = condition.unnest()
    return [*unnested.flatten()] if isinstance(unnested, exp.And) else [unnested]
