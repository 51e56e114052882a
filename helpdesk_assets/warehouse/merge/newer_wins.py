"""The guard of MergePolicy.NEWER_WINS, as the WHEN MATCHED clauses of a MERGE.

A row's content and its deletion are two facts, and each is guarded by itself. Content is guarded by
the version, and of equal versions the one that was read later wins. A deletion never changes the
version: it is set if it was read later than the row, and taken back by a version after it or by a
reading after it.

Pure text, as `statement` is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from helpdesk_assets.warehouse.query import quote
from helpdesk_assets.warehouse.table_spec import ColumnType, TableSpec

# The clocks of a helpdesk and of BigQuery may differ by as much.
READ_AHEAD_MINUTES = 15


@dataclass(frozen=True, slots=True)
class NewerWins:
    """The clauses for one table and one source.

    Attributes:
        spec: the table.
        columns: the columns to write.
        json_as_text: columns that are JSON in the spec and STRING in the target.
        has_tombstones: the source has the spec's `tombstone_flag`.
        has_alive_at: the source has the spec's `alive_at_column`.
        forced: at equal versions, a row is replaced if any column differs.
    """

    spec: TableSpec
    columns: Sequence[str]
    json_as_text: Collection[str] = ()
    has_tombstones: bool = False
    has_alive_at: bool = False
    forced: bool = False

    def clauses(self) -> str:
        """Return the clauses; a row is updated by the first that matches.

        Raises:
            ValueError: the spec has no version column.
        """
        parts = [self._when_content_is_newer()]
        if self._has_deletions:
            parts += [self._when_only_the_deletion_changes()]
        return "\n".join(parts)

    def inserted(self, name: str) -> str:
        """Return a column's value in a new row. A tombstone has no version."""
        value = f"S.{quote(name)}"
        if self.has_tombstones and name == self.spec.version:
            return f"IF(S.{quote(str(self.spec.tombstone_flag))}, NULL, {value})"
        return value

    @property
    def _has_deletions(self) -> bool:
        return self.spec.deleted_column in self.columns

    @property
    def _version(self) -> str:
        if self.spec.version is None:
            raise ValueError(f"{self.spec.name}: MergePolicy.NEWER_WINS needs a version column")
        return quote(self.spec.version)

    def _when_content_is_newer(self) -> str:
        version = self._version
        tests = [f"  T.{version} IS NULL", f"  OR T.{version} < S.{version}"]
        differences = self._differences()
        if differences:
            later = self._is_later("<")
            tests += [f"  OR (T.{version} = S.{version} AND {differences}{later})"]
        whole = f"NOT S.{quote(str(self.spec.tombstone_flag))} AND " if self.has_tombstones else ""
        kept = {*self.spec.key, *self.spec.write_once}
        updates = ",\n".join(f"  {self._update(name)}" for name in self.columns if name not in kept)
        return "\n".join([f"WHEN MATCHED AND {whole}(", *tests, ") THEN UPDATE SET", updates])

    def _differences(self) -> str:
        """Return the test that a row of the same version has another content."""
        mark = self.spec.content_hash_column
        if mark not in self.columns:
            return ""
        hash_differs = f"T.{quote(str(mark))} IS DISTINCT FROM S.{quote(str(mark))}"
        if not self.forced:
            return hash_differs
        tests = [hash_differs, *(self._differs(name) for name in self._content_columns())]
        return f"({_any(tests, 6)}\n    )"

    def _content_columns(self) -> list[str]:
        spec = self.spec
        others = {
            *spec.key,
            *spec.write_once,
            *spec.stamps,
            spec.version,
            spec.content_hash_column,
            spec.deleted_column,
            spec.read_at_column,
        }
        return [name for name in self.columns if name not in others]

    def _differs(self, name: str) -> str:
        column = quote(name)
        stored, read = f"T.{column}", f"S.{column}"
        types = {column.name: column.type for column in self.spec.columns}
        if types.get(name) is ColumnType.JSON and name not in self.json_as_text:
            # JSON values cannot be compared.
            stored, read = f"TO_JSON_STRING({stored})", f"TO_JSON_STRING({read})"
        if name == self.spec.partition_by:
            read = f"COALESCE({read}, {stored})"
        return f"{stored} IS DISTINCT FROM {read}"

    def _is_later(self, than: str) -> str:
        """Return the test, with AND before it, that the source's row was read later."""
        if self.spec.read_at_column not in self.columns:
            return ""
        read_at = quote(str(self.spec.read_at_column))
        return f"\n    AND ({_is_unknown(read_at)} OR T.{read_at} {than} S.{read_at})"

    def _update(self, name: str) -> str:
        column = quote(name)
        if name == self.spec.partition_by:
            # A row without the partition's time must not move the stored row to another partition.
            return f"{column} = COALESCE(S.{column}, T.{column})"
        if self._has_deletions and name in (self.spec.deleted_column, self.spec.read_at_column):
            # A row that stays deleted keeps the time at which that was known.
            deleted = quote(str(self.spec.deleted_column))
            tests = [f"T.{deleted} IS NULL", f"S.{deleted} IS NOT NULL", *self._alive_tests()]
            return f"{column} = IF({_any(tests, 4)},\n    S.{column},\n    T.{column}\n  )"
        return f"{column} = S.{column}"

    def _alive_tests(self) -> list[str]:
        """Return the tests of which one lets a row without a deletion take back the stored one.

        A version after the deletion does; some helpdesks date deletions to the second. So does a
        reading after the deletion was known, whatever its version: a restored ticket may keep its
        modified time.
        """
        version, deleted = self._version, quote(str(self.spec.deleted_column))
        tests = [f"TIMESTAMP_TRUNC(S.{version}, SECOND) > TIMESTAMP_TRUNC(T.{deleted}, SECOND)"]
        if self.spec.read_at_column in self.columns and self.has_alive_at:
            read_at = quote(str(self.spec.read_at_column))
            alive_at = quote(str(self.spec.alive_at_column))
            tests += [_is_unknown(read_at), f"T.{read_at} < S.{alive_at}"]
        return tests

    def _when_only_the_deletion_changes(self) -> str:
        version, deleted = self._version, quote(str(self.spec.deleted_column))
        is_deleted = (
            f"T.{deleted} IS NULL AND S.{deleted} IS NOT NULL\n"
            f"    AND (T.{version} IS NULL OR T.{version} <= GREATEST(S.{version}, S.{deleted}))"
            f"{self._is_later('<=')}"
        )
        alive = _any(self._alive_tests(), 6)
        is_alive = f"T.{deleted} IS NOT NULL AND S.{deleted} IS NULL\n    AND ({alive}\n    )"
        names = (self.spec.deleted_column, self.spec.read_at_column, *self.spec.stamps)
        updates = ",\n".join(
            f"  {quote(name)} = S.{quote(name)}" for name in names if name and name in self.columns
        )
        tests = [f"  ({is_deleted})", f"  OR ({is_alive})"]
        return "\n".join(["WHEN MATCHED AND (", *tests, ") THEN UPDATE SET", updates])


def _is_unknown(read_at: str) -> str:
    """Return the test that a stored time of reading says nothing.

    It is NULL in rows of others. One that is ahead of BigQuery's clock came from an answer with a
    wrong `Date`: nothing would be later than it until that time comes.
    """
    latest = f"TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL {READ_AHEAD_MINUTES} MINUTE)"
    return f"IFNULL(T.{read_at} > {latest}, TRUE)"


def _any(tests: Sequence[str], indent: int) -> str:
    """Return the tests joined by OR, each on a line of its own."""
    lines = f"\n{' ' * indent}OR ".join(tests)
    return f"\n{' ' * indent}{lines}"
