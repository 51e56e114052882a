"""Statements with their parameters, and validated, quoted names of tables and columns.

Identifiers are validated and quoted only here; values are always query parameters.
Pure text: this module must not know a client, a clock or any google library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.warehouse.table_spec import ColumnType

Scalar = str | int | float | bool | datetime | None

# Project ids may be domain-scoped (`example.com:project`) and contain dashes; datasets may not.
_PROJECT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]{0,62}")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_LOCATION = re.compile(r"[a-z][a-z0-9-]{1,60}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")

# Start of the error text by which a statement refuses a NULL key; `bigquery.errors` recognizes it.
NULL_KEY = "NULL key in"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named query parameter; a tuple as `value` makes it an ARRAY of `type`."""

    name: str
    type: ColumnType
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and the parameters that it names."""

    sql: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with a valid name; gives its tables their full names.

    Raises:
        SettingsError: BigQuery does not accept the project id or the dataset name.
    """

    project: str
    name: str

    def __post_init__(self) -> None:
        check_name(_PROJECT, self.project, "BIGQUERY_PROJECT", "a project id")
        check_name(_DATASET, self.name, "BIGQUERY_DATASET", "a dataset name")

    def table(self, name: str) -> str:
        """Return the table's full name for a statement, quoted."""
        return f"`{self.table_id(name)}`"

    def table_id(self, name: str) -> str:
        """Return the table's full name for the API.

        Raises:
            SettingsError: BigQuery does not accept the name.
        """
        check_name(_TABLE, name, "table", "a table name")
        return f"{self.project}.{self.name}.{name}"

    def jobs_view(self, location: str) -> str:
        """Return the view of a location's jobs for a statement, quoted.

        Raises:
            SettingsError: there can be no such location.
        """
        region = location.lower()
        check_name(_LOCATION, region, "BIGQUERY_LOCATION", "a location")
        return f"`{self.project}`.`region-{region}`.INFORMATION_SCHEMA.JOBS_BY_PROJECT"


def quote(column: str) -> str:
    """Return a column name, validated and quoted.

    Raises:
        SettingsError: BigQuery does not accept the name.
    """
    check_name(_COLUMN, column, "column", "a column name")
    return f"`{column}`"


def check_name(pattern: re.Pattern[str], name: str, what: str, like: str) -> None:
    """Refuse a name that does not match.

    Args:
        pattern: what the whole name must match.
        name: the name; its first 80 characters are shown in the error.
        what: the setting or kind of name, for the error.
        like: what the name should have been, for the error: "a table name".

    Raises:
        SettingsError: the name does not match.
    """
    if not pattern.fullmatch(name):
        raise SettingsError(f"{what}: {name[:80]!r} is not {like} that BigQuery accepts.")
