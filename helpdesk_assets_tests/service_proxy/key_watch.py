"""Counts the keys that have several rows after each statement: a later one may hide them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from helpdesk_assets_tests.service_proxy.dml import TableName
from helpdesk_assets_tests.service_proxy.stand_in import StandIn


@dataclass(slots=True)
class KeyWatch:
    """The most doubled keys that a table ever had.

    Attributes:
        keys: the keys of tables by name; others are not watched.
    """

    stand_in: StandIn
    keys: Mapping[str, tuple[str, ...]]
    most: Counter[str] = field(default_factory=Counter)

    def look(self, table: TableName) -> None:
        """Count once more."""
        if not (key := self.keys.get(table.table)):
            return
        columns = ", ".join(f"`{column}`" for column in key)
        ((count,),) = self.stand_in.run(
            f"SELECT COUNT(*) AS n FROM (SELECT {columns} FROM {table.quoted} "
            f"GROUP BY {columns} HAVING COUNT(*) > 1)",
            table.project,
        )
        if int(count) > self.most[table.table]:
            self.most[table.table] = int(count)
