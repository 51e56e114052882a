"""The local BigQuery, run so that it translates each statement once.

Nine tenths of what a statement takes there is parsing the same text a dozen times, and the stories
ask the same few dozen statements some ten thousand times. Translating is a pure function of the
text and of the tables' columns, so what comes of it is kept; what is executed is the same. With it
a sync takes 0.4 s in place of 3. The other stand-in (Python from 3.13 on) has no such seam and is
run as it is. Runs inside the stand-in's process, and must know nothing of the project.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from helpdesk_assets.embedded import EmbeddedWarehouse

KEPT = 4000
_CODE = """\
from bqemulator.cli import main
from helpdesk_assets_tests.chaos.stand_in import remember_translations
remember_translations()
main()
"""


@contextmanager
def quick_warehouse(data_dir: Path) -> Iterator[EmbeddedWarehouse]:
    """A local warehouse that remembers, where it can."""
    from unittest import mock

    from helpdesk_assets import embedded

    remembers = replace(embedded.BQEMULATOR, code=_CODE)
    with (
        mock.patch.object(embedded, "BQEMULATOR", remembers),
        embedded.EmbeddedWarehouse(data_dir) as warehouse,
    ):
        yield warehouse


def remember_translations() -> None:
    """Put memory around the three functions that take the time."""
    import sqlglot
    from bqemulator.jobs import executor
    from bqemulator.sql.translator import SQLTranslator

    for place, name, kept in (
        (sqlglot, "parse_one", _with_copies(sqlglot.parse_one)),
        (executor, "rewrite_table_refs", lru_cache(KEPT)(executor.rewrite_table_refs)),
        (SQLTranslator, "translate", _by_columns(SQLTranslator.translate)),
    ):
        setattr(place, name, kept)


def _with_copies(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Trees are changed by those who asked for them, so each gets a copy."""
    kept = lru_cache(KEPT)(parse)

    def parse_one(sql: str, read: Any = None, **options: Any) -> Any:
        if options or not isinstance(read, str):
            return parse(sql, read=read, **options)
        return kept(sql, read=read).copy()

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
