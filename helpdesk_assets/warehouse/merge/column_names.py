"""Says which names BigQuery takes for columns; it ignores their case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from helpdesk_assets.errors import SchemaMismatch
from helpdesk_assets.warehouse.table_spec import Column

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
# BigQuery's own columns begin so, in any case.
_RESERVED_PREFIXES = (
    "_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP",
)  # fmt: skip


def check_names(table: str, columns: Sequence[Column]) -> None:
    """Refuse names that BigQuery does not take, or that are one name to it.

    Raises:
        SchemaMismatch: says which.
    """
    wrong = wrong_name([column.name for column in columns])
    if wrong:
        raise SchemaMismatch(
            f"Table {table}: {wrong}. Nothing was written; rename it in the asset."
        )


def wrong_name(names: Sequence[str]) -> str | None:
    """Return what is wrong with the first of the names that BigQuery does not take."""
    return _repeated(names) or next(filter(None, map(_unusable, names)), None)


def _repeated(names: Sequence[str]) -> str | None:
    counted = Counter(name.lower() for name in names)
    twice = [name for name in names if counted[name.lower()] > 1]
    if not twice:
        return None
    same = [name for name in twice if name.lower() == twice[0].lower()]
    return f"columns {' and '.join(same)} have one name, since BigQuery ignores case"


def _unusable(name: str) -> str | None:
    if _NAME.fullmatch(name) is None:
        return (
            f"{name[:80]!r} is no name of a column: at most 300 letters, digits and underscores, "
            "no digit first"
        )
    if name.upper().startswith(_RESERVED_PREFIXES):
        return f"column {name} begins like a column of BigQuery's own"
    return None
