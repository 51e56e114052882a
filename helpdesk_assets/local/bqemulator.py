"""bqemulator, run so that no answer gets into another, and each statement is translated once.

Its threads share one connection to its data. Rows of a table, which it reads in a thread of their
own, came back as those of a statement that ran meanwhile: of 120 reads beside as many statements 7
to 12 were wrong and as many an internal error (version 1.4.0). So nothing is done in threads, which
takes no longer.

Nine tenths of what a small statement takes is parsing the same text a dozen times. Translating is a
pure function of the text and of the tables' columns, so what comes of it is kept; what is executed
is the same. And it copies the whole table after each statement, for questions about the past
(`FOR SYSTEM_TIME`), which nobody asks here: it no longer does, and cannot answer them.

Runs inside the stand-in's process, and must know nothing of the project but how staging tables are
named.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

KEPT = 500
# Functions of the stand-in that ask what kind of statement a text is.
ONLY_LOOK = frozenset(
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
# What is never the same in the name of a staging table; and what stands for it in what is kept.
TIMESTAMP_FORMAT = re.compile(r"__stg_\d{8}t\d{6}z_[a-z0-9]{1,8}_\d+", re.IGNORECASE)
ANY_STAMP = "__stg_20000101T000000Z_x_0"


def main() -> None:
    """Become bqemulator; its arguments are this process's."""
    from bqemulator.cli import main as serve
    from fastapi import routing

    vars(routing)["run_in_threadpool"] = _run_inline
    _remember_translations()
    serve()


async def _run_inline(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _remember_translations() -> None:
    """Put memory around the functions that take the time."""
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
    """Who rewrites a tree gets one of its own; who only looks, the same as all."""
    kept = lru_cache(KEPT)(parse)

    def parse_one(sql: str, read: Any = None, **options: Any) -> Any:
        if options or not isinstance(read, str):
            return parse(sql, read=read, **options)
        tree = kept(sql, read=read)
        caller = sys._getframe(1).f_code.co_name  # noqa: SLF001 - it tells no other way
        return tree if caller in ONLY_LOOK else tree.copy()

    return parse_one


def _by_text(rewrite: Callable[[str, str], str]) -> Callable[[str, str], str]:
    kept = lru_cache(KEPT)(rewrite)

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
            if len(kept) >= KEPT:
                kept.clear()
            kept[key] = translate(self, text, schema=columns, **how)
        # Names may come back in small letters.
        return kept[key].map(
            lambda done: done.replace(ANY_STAMP, stamp).replace(ANY_STAMP.lower(), stamp.lower())
        )

    return translated


def _stamp(sql: str) -> str:
    """The one stamp in a text; where there are none or several, the text stays as it is."""
    found = set(TIMESTAMP_FORMAT.findall(sql))
    return found.pop() if len(found) == 1 else ANY_STAMP
