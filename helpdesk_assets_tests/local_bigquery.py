"""Run local-bigquery with three changes: PARSE_JSON, dry runs of MERGE, one metadata change a time.

It knows PARSE_JSON's `wide_number_mode`, but what it makes of two arguments refuses a query
parameter (version 0.3.2). With one argument it refuses whole numbers beyond 64 bits and takes every
double, and no other numbers are sent here. A dry run has DuckDB explain the statement, which
refuses a MERGE of several clauses that is run in another way; so here it only resolves the names.
It compares an etag and then writes, so that two requests at once could both pass; here they take
turns. Runs in the stand-in's environment and must import nothing of the project.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


def main() -> None:
    """Run local-bigquery with this process's arguments."""
    from local_bigquery.catalog import tables
    from local_bigquery.cli import main as serve
    from local_bigquery.jobs import query
    from local_bigquery.sql.dialect import BigQueryDialect

    vars(tables)["update"] = _in_turn(vars(tables)["update"])
    vars(query)["_run"] = _without_explaining_merges(vars(query)["_run"])
    functions = BigQueryDialect.Parser.FUNCTIONS
    functions["PARSE_JSON"] = _without_round(functions["PARSE_JSON"])
    serve()


def _in_turn(change: Callable[..., Any]) -> Callable[..., Any]:
    lock = threading.Lock()

    def changed(*arguments: Any) -> Any:
        with lock:
            return change(*arguments)

    return changed


def _without_explaining_merges(run: Callable[..., Any]) -> Callable[..., Any]:
    from local_bigquery.jobs import query
    from sqlglot import exp

    def ran(cursor: Any, tree: Any, context: Any, *arguments: Any) -> Any:
        _, _, dry_run, _ = arguments
        if not (dry_run and isinstance(tree, exp.Merge)):
            return run(cursor, tree, context, *arguments)
        of_query = vars(query)
        of_query["translate"](tree, context)
        return of_query["JobStatistics2"]().replace(statementType=of_query["statement_type"](tree))

    return ran


def _without_round(parse: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def parsed(arguments: Sequence[Any]) -> Any:
        return parse([each for each in arguments if not _is_round(each)])

    return parsed


def _is_round(argument: Any) -> bool:
    from sqlglot import exp

    return isinstance(argument, exp.Kwarg) and bool(argument.expression.name == "round")
