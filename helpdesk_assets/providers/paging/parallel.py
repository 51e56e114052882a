"""Reads the spans of a window in several threads and yields their results from one iterator.

The buffer of results is bounded, so memory does not grow with the window. Must not know what is
read or how a span is split (`work_split`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from helpdesk_assets.providers.paging.work_split import Span, WorkSplit

Step = TypeVar("Step")

BUFFERED_PER_READER = 2
# A reader may be in the middle of a call when the others are stopped.
JOIN_SECONDS = 10.0


def read_parallel(
    work_split: WorkSplit, read: Callable[[Span], Iterator[Step]], concurrency: int
) -> Iterator[Step]:
    """Yield everything that `read` yields for each span, in any order.

    The first steps run in the calling thread, since a window of one or two pages needs no others.
    A reader's first failure is raised here, after the results before it, and stops all readers.

    Args:
        work_split: hands out the spans.
        read: reads one span.
        concurrency: the number of readers.
    """
    first_reader = _read_all(work_split, read)
    for step in first_reader:
        yield step
        if concurrency > 1 and work_split.is_worth_splitting:
            break
    else:
        return
    readers = [first_reader, *(_read_all(work_split, read) for _ in range(concurrency - 1))]
    yield from _ParallelRead(readers, work_split).steps()


def _read_all(
    work_split: WorkSplit, read: Callable[[Span], Iterator[Step]]
) -> Generator[Step, None, None]:
    while (span := work_split.acquire()) is not None:
        try:
            yield from read(span)
        finally:
            work_split.release(span)


class _ParallelRead(Generic[Step]):
    """The reader threads of one call, and their buffered results."""

    def __init__(self, readers: list[Generator[Step, None, None]], work_split: WorkSplit) -> None:
        self._work_split = work_split
        self._max_buffered = BUFFERED_PER_READER * len(readers)
        self._steps: deque[Step] = deque()
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._active_readers = len(readers)
        self._threads = [
            threading.Thread(
                target=self._run_reader, args=(reader,), name=f"reader-{n}", daemon=True
            )
            for n, reader in enumerate(readers)
        ]

    def steps(self) -> Iterator[Step]:
        """Start the threads and yield their results."""
        try:
            for thread in self._threads:
                thread.start()
            while (step := self._next()) is not None:
                yield step[0]
        finally:
            self._close()

    def _next(self) -> tuple[Step] | None:
        """Return the next step in a tuple, None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._steps or self._error or not self._active_readers)
            if self._steps:
                self._changed.notify_all()
                return (self._steps.popleft(),)
            if self._error is not None:
                raise self._error
            return None

    def _run_reader(self, reader: Generator[Step, None, None]) -> None:
        try:
            for step in reader:
                if not self._put(step):
                    break
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            with self._changed:
                self._error = self._error or error
        finally:
            reader.close()
            with self._changed:
                self._active_readers -= 1
                self._changed.notify_all()

    def _put(self, step: Step) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._steps) < self._max_buffered or self._closed)
            if self._closed:
                return False
            self._steps.append(step)
            self._changed.notify_all()
            return True

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._work_split.stop()
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(until - time.monotonic(), 0.0))
