"""Answers that get lost, and answers that say less than is known."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class ServiceFault(StrEnum):
    """What may happen to an answer of jobs.insert, jobs.get or getQueryResults.

    In all of them but NOT_ACCEPTED the service knows the job, and the job goes on.
    """

    # jobs.insert: the job is accepted, and the connection ends, or a gateway gives up waiting.
    ANSWER_LOST = "answer_lost"
    ANSWER_504 = "answer_504"
    # jobs.insert: the same 504, and the job was not accepted.
    NOT_ACCEPTED = "not_accepted"
    # jobs.get and getQueryResults: nothing, or a 504, while the job runs.
    POLL_LOST = "poll_lost"
    POLL_504 = "poll_504"
    # jobs.get: a 404 for a job that exists, as seen after a 409 for its id.
    NOT_FOUND = "not_found"


ON_INSERT = (ServiceFault.ANSWER_LOST, ServiceFault.ANSWER_504, ServiceFault.NOT_ACCEPTED)
ON_POLL = (ServiceFault.POLL_LOST, ServiceFault.POLL_504, ServiceFault.NOT_FOUND)


@dataclass(slots=True)
class _Ordered:
    kind: ServiceFault
    count: int
    table: str


class Faults:
    """The faults that are ordered. Safe to share between threads."""

    def __init__(self) -> None:
        self.shown: Counter[ServiceFault] = Counter()
        self._ordered: list[_Ordered] = []
        self._lock = threading.Lock()

    def order(self, kind: ServiceFault, count: int = 1, table: str = "") -> None:
        """Show a fault to the next `count` calls for jobs that change the table; "": for any."""
        with self._lock:
            self._ordered.append(_Ordered(kind, count, table))

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()

    def take(self, kinds: tuple[ServiceFault, ...], table: str) -> ServiceFault | None:
        """Return the fault to show to a call for a job that changes this table."""
        with self._lock:
            for each in self._ordered:
                if each.kind in kinds and each.table in ("", table):
                    each.count -= 1
                    if each.count <= 0:
                        self._ordered.remove(each)
                    self.shown[each.kind] += 1
                    return each.kind
        return None
