"""Keeps what was changed at a simulated helpdesk in a file, so that a restart has it again.

One JSON line per change, with its outcome: ids and times, not what was asked for. Knows nothing of
HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpdesk_assets.errors import SettingsError


class Journal:
    """The file of one helpdesk. `origin` says which tickets it began with."""

    def __init__(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Open the file, which is made if it is absent.

        Args:
            path: where it is.
            origin: tickets, seed and history of the helpdesk, by name.

        Raises:
            SettingsError: the file belongs to a helpdesk that began with other tickets.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_torn_line()
        known = next(self._lines(), None)
        if known is None:
            self._write(origin)
        elif known != origin:
            raise SettingsError(
                f"{path} keeps the changes of a simulated helpdesk that began with other tickets "
                f"({json.dumps(known)}). Start it with these, or remove the file: then the local "
                "tables no longer fit either, and `make clean` removes both."
            )

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the changes in the order in which they were made."""
        lines = self._lines()
        next(lines, None)
        yield from lines

    def record(self, kind: str, ids: Sequence[str], at: int, **details: Any) -> None:
        """Append one change.

        Args:
            kind: what was done.
            ids: the tickets.
            at: the helpdesk's time, in seconds since 1970.
            **details: whatever else is needed to do it again.
        """
        self._write({"kind": kind, "ids": list(ids), "at": at, **details})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            yield from map(json.loads, self._path.read_text("utf-8").splitlines())

    def _drop_torn_line(self) -> None:
        """Remove a last line that a killed process did not finish."""
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        if not content.endswith(b"\n"):
            self._path.write_bytes(content[: content.rfind(b"\n") + 1])
