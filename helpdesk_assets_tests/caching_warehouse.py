"""The local BigQuery, run so that it translates each statement once.

Nine tenths of what a statement takes there is parsing the same text a dozen times, and the tests
ask the same few dozen statements some ten thousand times. Translating is a pure function of the
text and of the tables' columns, so what comes of it is kept; what is executed is the same. The
other stand-in (Python from 3.13 on) has no such seam and is run as it is, and so is this one where
it is tested itself and where people would start it. Runs inside the stand-in's process, and must
know nothing of the project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from helpdesk_assets.local.warehouse import EmbeddedWarehouse

KEPT = 4000
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
_CODE = """\
from helpdesk_assets.local.bqemulator import main
from helpdesk_assets_tests.caching_warehouse import remember_translations
remember_translations()
main()
"""


@contextmanager
def quick_warehouse(data_dir: Path) -> Iterator[EmbeddedWarehouse]:
    """A local warehouse that remembers, where it can."""
    from unittest import mock

    from helpdesk_assets.local import warehouse as local_warehouse

    remembering = replace(local_warehouse.BQEMULATOR, code=_CODE)
    warehouse = local_warehouse.EmbeddedWarehouse(data_dir)
    # No longer than that: others are started as they are.
    with mock.patch.object(local_warehouse, "BQEMULATOR", remembering):
        warehouse.start()
    try:
        yield warehouse
    finally:
        warehouse.stop()


def remembers() -> bool:
    """Whether the stand-in of this interpreter is the one that can."""
    from helpdesk_assets.local import warehouse

    return warehouse.installed() is warehouse.BQEMULATOR


def remember_translations() -> None:
    """Put memory around the functions that take the time."""
    import sqlglot
    from bqemulator.jobs import executor
    from bqemulator.sql.translator import SQLTranslator
    from bqemulator.versioning.snapshots import SnapshotManager

    for place, name, kept in (
        (sqlglot, "parse_one", _with_copies(sqlglot.parse_one)),
        (executor, "rewrite_table_refs", lru_cache(KEPT)(vars(executor)["rewrite_table_refs"])),
        (SQLTranslator, "translate", _by_columns(SQLTranslator.translate)),
        # A copy of the table after each statement, for questions about the past. Nobody asks any.
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
        return tree if sys._getframe(1).f_code.co_name in ONLY_LOOK else tree.copy()

    return parse_one


def _by_columns(translate: Callable[..., Any]) -> Callable[..., Any]:
    kept: dict[tuple[str, str], Any] = {}

    def translated(self: Any, sql: str, **how: Any) -> Any:
        key = sql, repr(how)
        if key not in kept:
            if len(kept) >= KEPT:
                kept.clear()
            kept[key] = translate(self, sql, **how)
        return kept[key]

    return translated
