"""A statement with its parameters, and the names of tables and columns, checked and quoted.

Identifiers are validated and quoted here and nowhere else; values are always query parameters.
Pure text: this module must not know a client, a clock or any google library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.warehouse.table_spec import ColumnType

Scalar = str | int | float | bool | datetime | None

# Project ids may be domain-scoped (`example.com:project`) and hold dashes; datasets may not.
_PROJECT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]{0,62}")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")

# The start of the text by which a statement refuses a NULL key; `failures` knows it again.
NULL_KEY = "NULL key in"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named query parameter; a tuple as value makes it an ARRAY of `type`."""

    name: str
    type: ColumnType
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Query:
    sql: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset whose name has been checked, as the place that tables are named in."""

    project: str
    name: str

    def __post_init__(self) -> None:
        _check(_PROJECT, self.project, "BIGQUERY_PROJECT", "a project id")
        _check(_DATASET, self.name, "BIGQUERY_DATASET", "a dataset name")

    def table(self, name: str) -> str:
        """The table as it stands in a statement, quoted."""
        return f"`{self.table_id(name)}`"

    def table_id(self, name: str) -> str:
        """The table as the API names it."""
        _check(_TABLE, name, "table", "a table name")
        return f"{self.project}.{self.name}.{name}"


def quote(column: str) -> str:
    _check(_COLUMN, column, "column", "a column name")
    return f"`{column}`"


def _check(pattern: re.Pattern[str], name: str, what: str, like: str) -> None:
    if not pattern.fullmatch(name):
        raise SettingsError(f"{what}: {name[:80]!r} is not {like} that BigQuery takes.")
