"""A batch of rows on its way to the warehouse: in memory while small, on disk once it is not.

Memory must not grow with the number of tickets, so rows are written here page by page, as NDJSON,
and read back as a stream. Knows neither tickets nor BigQuery.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self


class Spool:
    """Append-only NDJSON rows; use it as a context manager, since it may own a temporary file."""

    def __init__(self, small_bytes: int) -> None:
        """`small_bytes`: up to this size the rows stay in memory and `is_small` holds."""
        self._small_bytes = small_bytes
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed in close()
            max_size=small_bytes
        )
        self.rows = 0
        self.size = 0

    @property
    def is_small(self) -> bool:
        return self.size <= self._small_bytes

    def append(self, line: bytes) -> None:
        """Add one row: a JSON object in UTF-8 on one line, without its line end."""
        self.extend([line])

    def extend(self, lines: Sequence[bytes]) -> None:
        """Add several rows by one write, as `append` adds one."""
        if lines:
            text = b"\n".join([*lines, b""])
            self._file.write(text)
            self.rows += len(lines)
            self.size += len(text)

    def clear(self) -> None:
        """Forget all rows, which are somewhere else by now."""
        self._file.seek(0)
        self._file.truncate()
        self.rows = 0
        self.size = 0

    def lines(self) -> Iterator[bytes]:
        """The rows in the order of their arrival, without line ends."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip(b"\n")
        self._file.seek(0, 2)

    def stream(self) -> IO[bytes]:
        """The rows as a file at its beginning, for a load job. Belongs to the spool."""
        self._file.rollover()  # google's client refuses a file that is still in memory
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
