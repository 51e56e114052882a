"""Run bqemulator with changes: no threads, caches, no copies, counted rows, compared etags.

Its threads share one connection to its data. It reads a table's rows in a separate thread, and got
those of a statement that ran at the same time: of 120 reads beside as many statements, 7 to 12 were
wrong, and as many ended in an internal error (version 1.4.0). So everything runs inline, which
takes no longer.

Nine tenths of a small statement's time is parsing the same text a dozen times. The translation is a
pure function of the text and the tables' columns, so it is cached; what is executed is the same.

It also copies the whole table after each statement, for queries of the past (`FOR SYSTEM_TIME`),
which this project does not make. Without the copies it cannot answer them.

Its metadata counts a table's rows only after a load, not after a statement, as the service does. So
they are counted whenever the metadata is asked for.

It changes a table whatever etag the request names, so two could both win. The etags are compared.

Runs inside the stand-in's process. Must know nothing of the project but how staging tables are
named.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

CACHED = 500
# Of the function that makes a table of a request: the last is the table before.
ARGUMENTS_OF_A_CHANGE = 5
# Functions of the stand-in that only classify a statement.
CLASSIFIERS = frozenset(
    {
        "_parse_for_classification",
        "detect_drop_routine",
        "_detect_catalog_drop",
        "_detect_plain_create_table",
        "_detect_plain_create_view",
        "_reject_dml_on_immutable",
        "_detect_create_schema",
        "build_catalog_schema",
        "_capture_dml_snapshots",
    }
)
# The part of a staging table's name that always differs, and what replaces it in cache keys.
STAMP = re.compile(r"__stg_\d{8}t\d{6}z_[a-z0-9]{1,8}_\d+", re.IGNORECASE)
ANY_STAMP = "__stg_20000101T000000Z_x_0"


def main() -> None:
    """Run bqemulator with this process's arguments."""
    from bqemulator.cli import main as serve
    from fastapi import routing

    from helpdesk_assets.local.bqemulator_appends import mend_appends

    vars(routing)["run_in_threadpool"] = _run_inline
    _cache_translations()
    _count_rows()
    _compare_etags()
    mend_appends()
    serve()


async def _run_inline(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _count_rows() -> None:
    """Let a table's metadata have the number of rows that it has now."""
    from bqemulator.api.routes import tables
    from bqemulator.catalog import ddl_sync

    describe, count = vars(tables)["_table_to_rest"], vars(ddl_sync)["_introspect_num_rows"]

    def described(table: Any) -> dict[str, Any]:
        body: dict[str, Any] = describe(table)
        context = sys._getframe(1).f_locals.get("ctx")  # noqa: SLF001 - the handler has it
        if table.table_type == "TABLE" and context is not None:
            body["numRows"] = str(
                count(table.project_id, table.dataset_id, table.table_id, context)
            )
        return body

    vars(tables)["_table_to_rest"] = described


def _compare_etags() -> None:
    """Refuse to change a table that is no longer the one that the request names."""
    from bqemulator.api.routes import tables
    from bqemulator.domain.errors import DomainError

    change = vars(tables)["_rest_to_table_meta"]

    class PreconditionFailed(DomainError):
        http_status = 412
        bq_reason = "conditionNotMet"
        grpc_status_name = "FAILED_PRECONDITION"

    def changed(*arguments: Any) -> Any:
        *others, before = (
            arguments if len(arguments) == ARGUMENTS_OF_A_CHANGE else (*arguments, None)
        )
        if before is not None:
            handler = sys._getframe(1).f_locals  # noqa: SLF001 - it has the request
            # Another request may have changed the table while this one's body was read.
            before = handler["ctx"].catalog.get_table(*others[:2], before.table_id) or before
            expected = handler["request"].headers.get("if-match")
            if expected not in (None, before.etag):
                raise PreconditionFailed(
                    f"Table {before.table_id} has changed: Precondition Failed"
                )
        return change(*others, before)

    vars(tables)["_rest_to_table_meta"] = changed


def _cache_translations() -> None:
    """Put caches around the functions that take the time."""
    import sqlglot
    from bqemulator.jobs import executor
    from bqemulator.sql.translator import SQLTranslator
    from bqemulator.versioning.snapshots import SnapshotManager

    for place, name, kept in (
        (sqlglot, "parse_one", _with_copies(sqlglot.parse_one)),
        (executor, "rewrite_table_refs", _by_text(vars(executor)["rewrite_table_refs"])),
        (SQLTranslator, "translate", _by_columns(SQLTranslator.translate)),
        (SnapshotManager, "capture", lambda *_, **__: None),
    ):
        setattr(place, name, kept)


def _with_copies(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Cache parsed trees: callers that rewrite one get a copy, the others share it."""
    kept = lru_cache(CACHED)(parse)

    def parse_one(sql: str, read: Any = None, **options: Any) -> Any:
        if options or not isinstance(read, str):
            return parse(sql, read=read, **options)
        tree = kept(sql, read=read)
        caller = sys._getframe(1).f_code.co_name  # noqa: SLF001 - no other way to know the caller
        return tree if caller in CLASSIFIERS else tree.copy()

    return parse_one


def _by_text(rewrite: Callable[[str, str], str]) -> Callable[[str, str], str]:
    kept = lru_cache(CACHED)(rewrite)

    def rewritten(sql: str, project_id: str) -> str:
        stamp = _stamp(sql)
        return kept(sql.replace(stamp, ANY_STAMP), project_id).replace(ANY_STAMP, stamp)

    return rewritten


def _by_columns(translate: Callable[..., Any]) -> Callable[..., Any]:
    kept: dict[tuple[str, str, str], Any] = {}

    def translated(self: Any, sql: str, *, schema: Any = None, **how: Any) -> Any:
        stamp = _stamp(sql)
        text = sql.replace(stamp, ANY_STAMP)
        columns = schema and {
            table.replace(stamp, ANY_STAMP): columns for table, columns in schema.items()
        }
        key = text, repr(columns), repr(how)
        if key not in kept:
            if len(kept) >= CACHED:
                kept.clear()
            kept[key] = translate(self, text, schema=columns, **how)
        # Names may come back in lower case.
        return kept[key].map(
            lambda done: done.replace(ANY_STAMP, stamp).replace(ANY_STAMP.lower(), stamp.lower())
        )

    return translated


def _stamp(sql: str) -> str:
    """The one stamp in a text; ANY_STAMP if there are none or several, so nothing is replaced."""
    found = set(STAMP.findall(sql))
    return found.pop() if len(found) == 1 else ANY_STAMP
