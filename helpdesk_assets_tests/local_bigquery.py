"""Run local-bigquery with one change: PARSE_JSON takes `wide_number_mode => 'round'`.

It knows the argument, but what it makes of two arguments refuses a query parameter (version 0.3.2).
With one argument it refuses whole numbers beyond 64 bits and takes every double, and no other
numbers are sent here. Runs in the stand-in's environment and must import nothing of the project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def main() -> None:
    """Run local-bigquery with this process's arguments."""
    from local_bigquery.cli import main as serve
    from local_bigquery.sql.dialect import BigQueryDialect

    functions = BigQueryDialect.Parser.FUNCTIONS
    functions["PARSE_JSON"] = _without_round(functions["PARSE_JSON"])
    serve()


def _without_round(parse: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def parsed(arguments: Sequence[Any]) -> Any:
        return parse([each for each in arguments if not _is_round(each)])

    return parsed


def _is_round(argument: Any) -> bool:
    from sqlglot import exp

    return isinstance(argument, exp.Kwarg) and bool(argument.expression.name == "round")
