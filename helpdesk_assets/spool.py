"""A buffer for the rows of a batch: in memory while small, on disk once it is large.

Memory must not grow with the number of tickets, so rows are written page by page, as NDJSON, and
read back as a stream. Knows neither tickets nor BigQuery.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Self

from helpdesk_assets.errors import MachineError
from helpdesk_assets.formatting import format_bytes


class Spool:
    """Append-only NDJSON rows; a context manager, since it may own a temporary file."""

    def __init__(self, small_bytes: int) -> None:
        """Rows of up to `small_bytes` stay in memory, and `is_small` is true."""
        self._small_bytes = small_bytes
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed in close()
            max_size=small_bytes
        )
        self.rows = 0
        self.size = 0

    @property
    def is_small(self) -> bool:
        """Whether the rows are small enough to stay in memory."""
        return self.size <= self._small_bytes

    def append(self, line: bytes) -> None:
        """Add one row: a JSON object in UTF-8 on one line, without a line end."""
        self.extend([line])

    def extend(self, lines: Sequence[bytes]) -> None:
        """Add several rows by one write.

        Raises:
            MachineError: the disk has no room for them, or there is no folder for them.
        """
        if lines:
            text = b"\n".join([*lines, b""])
            self.rows += len(lines)
            self.size += len(text)
            with self._using_disk():
                self._file.write(text)

    def clear(self) -> None:
        """Remove all rows, once they are stored elsewhere."""
        with self._using_disk():
            self._file.seek(0)
            self._file.truncate()
        self.rows = 0
        self.size = 0

    def lines(self) -> Iterator[bytes]:
        """Yield the rows in order of arrival, without line ends."""
        # Seeking writes what is still in memory.
        with self._using_disk():
            self._file.seek(0)
        for line in self._file:
            yield line.rstrip(b"\n")
        self._file.seek(0, 2)

    def stream(self) -> IO[bytes]:
        """The rows as a file at its beginning, for a load job; the spool closes it."""
        with self._using_disk():
            self._file.rollover()  # google's client refuses a file that is still in memory
            self._file.seek(0)
        return self._file

    @contextmanager
    def _using_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MachineError.of(
                error,
                f"Keeping the tickets that were read in a temporary file ({format_bytes(self.size)}"
                " so far, and more while the batch grows)",
            ) from error

    def close(self) -> None:
        """Discard the rows."""
        # Closing writes what is still in memory, which a full disk refuses again.
        with suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
