"""BigQuery's rules for statements that no local warehouse enforces.

Each rule is a function that returns its violations. Sources: the pages of BigQuery's documentation
on DML, on partitioned tables and on quotas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from sqlglot import exp

from helpdesk_assets_tests.warehouse.job_recorder import Recording, Statement

# Quotas: 1 MB of query text, 10 MB of request with its parameters, 10,000 parameters.
TEXT_BYTES = 1_000_000
REQUEST_BYTES = 10_000_000
PARAMETERS = 10_000
# Two run and twenty wait, the next one fails. Ours are to be one at a time for a table anyway: two
# that insert the same new key at once would both insert it.
DML_AT_ONCE = 1
LOADS_PER_TABLE_AND_DAY = 1_500
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")


def repeats_of_source_keys(merge: Statement) -> Iterator[str]:
    """The source must have one row per key that ON compares.

    Two source rows for one target row fail the statement; two for none are both inserted.
    """
    source = merge.tree.args["using"].this
    keys = _compared_columns(merge)
    if merge.tree.args["on"] == exp.false():
        # It deletes rows and inserts one for each key of theirs.
        if not _distinct_by(source):
            yield "ON matches nothing, and the source may repeat a key"
    elif not keys:
        yield "ON compares no column of the source"
    elif _is_one_row(source):
        return
    elif not (distinct := _distinct_by(source)) <= keys or not distinct:
        yield f"ON compares {sorted(keys)}, and one row is kept for each {sorted(distinct)}"


def dynamic_bounds(merge: Statement) -> Iterator[str]:
    """Beside the keys, ON may compare the target only with constants.

    Only literals and parameters prune partitions; a subquery or another column does not.
    """
    for part in _conjuncts(merge.tree.args["on"]):
        if part.find(exp.Select):
            yield f"a subquery in ON: {part.sql('bigquery')}"
        elif not _joins(part) and any(each.table == "S" for each in part.find_all(exp.Column)):
            yield f"a bound that is no constant: {part.sql('bigquery')}"


def subqueries_in_clauses(merge: Statement) -> Iterator[str]:
    """Correlated subqueries are not supported in WHEN, SET and VALUES."""
    for clause in merge.tree.find_all(exp.When):
        if clause.find(exp.Select):
            yield clause.sql("bigquery")


def change_of_keys(merge: Statement) -> Iterator[str]:
    """A MERGE must not change what ON compares: the row would not be found again."""
    keys = _compared_columns(merge)
    for clause in merge.tree.find_all(exp.When):
        update = clause.args["then"]
        if isinstance(update, exp.Update):
            for each in update.expressions:
                if each.this.name in keys:
                    yield each.sql("bigquery")


def unbounded_changes(statement: Statement) -> Iterator[str]:
    """UPDATE and DELETE need a WHERE."""
    tree = statement.tree
    if isinstance(tree, exp.Update | exp.Delete) and tree.args.get("where") is None:
        yield "no WHERE"


def analytic_replacements(statement: Statement) -> Iterator[str]:
    """Analytic functions are not supported inside SELECT * REPLACE."""
    for star in statement.tree.find_all(exp.Star):
        for replaced in star.args.get("replace") or ():
            if replaced.find(exp.Window):
                yield replaced.sql("bigquery")


def too_much(statement: Statement) -> Iterator[str]:
    text = len(statement.sql.encode())
    if text > TEXT_BYTES:
        yield f"{text} bytes of text"
    request = text + len(json.dumps(statement.parameters).encode())
    if request > REQUEST_BYTES:
        yield f"{request} bytes with its parameters"
    if len(statement.parameters) > PARAMETERS:
        yield f"{len(statement.parameters)} parameters"


def names_not_taken(statement: Statement) -> Iterator[str]:
    if not _JOB_ID.fullmatch(statement.job_id):
        yield f"job id {statement.job_id}"
    for label in statement.config["labels"].values():
        if not _LABEL.fullmatch(label):
            yield f"label {label}"


def crowds(recording: Recording) -> Iterator[str]:
    for table, most in recording.most_at_once.items():
        if most > DML_AT_ONCE:
            yield f"{most} statements at once for {table}"


def _compared_columns(merge: Statement) -> set[str]:
    """Return the source columns that ON compares with `=` to the same target column."""
    found = set()
    for part in _conjuncts(merge.tree.args["on"]):
        if _joins(part):
            ours, theirs = sorted(part.find_all(exp.Column), key=lambda column: column.table)
            if (ours.table, theirs.table) == ("S", "T") and ours.name == theirs.name:
                found.add(ours.name)
    return found


def _conjuncts(on: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(on, exp.And):
        yield from _conjuncts(on.left)
        yield from _conjuncts(on.right)
    else:
        yield on


def _joins(part: exp.Expr) -> bool:
    return isinstance(part, exp.EQ) and all(
        isinstance(side, exp.Column) for side in (part.left, part.right)
    )


def _is_one_row(source: exp.Expr) -> bool:
    """Whether it is a SELECT of constants, a count without groups, or several side by side."""
    if not isinstance(source, exp.Select):
        return False
    below = source.args.get("from") or source.args.get("from_")
    if below is None:
        return True
    if _counts(source):
        return source.args.get("group") is None
    joins = source.args.get("joins") or []
    sides = [below.this, *(join.this for join in joins)]
    return all(join.kind == "CROSS" for join in joins) and all(
        _is_one_row(_behind(side, source)) for side in sides
    )


def _behind(side: exp.Expr, source: exp.Select) -> exp.Expr:
    """Return the SELECT behind a side of a join, or the table itself."""
    if isinstance(side, exp.Table):
        named: dict[str, exp.Expr] = {each.alias: each.this for each in source.ctes}
        return named.get(side.name, side)
    if isinstance(side, exp.Subquery):
        within: exp.Expr = side.this
        return within
    return side


def _counts(source: exp.Select) -> bool:
    """Whether it aggregates, outside of windows and subqueries."""
    return any(
        each.find_ancestor(exp.Select) is source and each.find_ancestor(exp.Window) is None
        for column in source.selects
        for each in column.find_all(exp.AggFunc)
    )


def _distinct_by(source: exp.Expr) -> set[str]:
    """Return the columns of QUALIFY ROW_NUMBER() OVER (PARTITION BY ...) = 1."""
    qualify = source.args.get("qualify")
    if qualify is None or not isinstance(qualify.this, exp.EQ):
        return set()
    number, one = qualify.this.left, qualify.this.right
    if not isinstance(number, exp.Window) or not isinstance(number.this, exp.RowNumber):
        return set()
    if not isinstance(one, exp.Literal) or one.this != "1":
        return set()
    return {column.name for column in number.args["partition_by"]}
