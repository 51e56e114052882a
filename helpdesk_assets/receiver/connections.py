"""Limits the open connections, and the time that each may take before it proves to be a vendor's.

A process has a limited number of file descriptors, and a stranger can open connections without
sending anything. So at the limit a new connection takes the place of the one that has waited
longest without a verified post: a vendor sends at once what a stranger holds back. Connections with
a verified post are never closed for others. `helpdesk_assets.receiver.protocol` reports to this.
"""

from __future__ import annotations

import resource
from typing import Protocol

# What is not left to connections: those to the helpdesk and BigQuery, files, and a margin.
DESCRIPTORS_KEPT = 64
# Connections beyond those that the queue can hold: bodies in transit, and checks of the URL.
SPARE_CONNECTIONS = 500


class OpenConnection(Protocol):
    """One open connection."""

    @property
    def is_verified(self) -> bool:
        """Whether it carries a post whose sender is verified and that is not answered yet."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...


class OpenConnections:
    """All open connections; for one thread, the server's event loop.

    Attributes:
        limit: the most connections to hold.
        evicted: how many gave their place to a new one.
        timed_out: how many were closed because a request was not complete in time.
        refused: how many were refused because all others carried a verified post.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.evicted = 0
        self.timed_out = 0
        self.refused = 0
        # In the order in which each began to wait.
        self._open: dict[OpenConnection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: OpenConnection) -> bool:
        """Take a new connection, if need be in the place of another; False if there is none."""
        if len(self._open) >= self.limit:
            oldest = next((each for each in self._open if not each.is_verified), None)
            if oldest is None:
                self.refused += 1
                return False
            self.evicted += 1
            del self._open[oldest]
            oldest.abort()
        self._open[connection] = None
        return True

    def waits_again(self, connection: OpenConnection) -> None:
        """Note that a connection was answered and waits for its next request."""
        if self._open.pop(connection, self) is None:
            self._open[connection] = None

    def forget(self, connection: OpenConnection) -> None:
        """Remove a closed connection."""
        self._open.pop(connection, None)

    def describe(self) -> dict[str, int]:
        """Return the counts for `/healthz`."""
        return {
            "open": len(self._open),
            "limit": self.limit,
            "evicted": self.evicted,
            "timed_out": self.timed_out,
            "refused": self.refused,
        }


def connection_limit(queue_size: int) -> int:
    """Return the most connections: what the queue can use, within the process's descriptors."""
    wanted = queue_size + SPARE_CONNECTIONS
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(descriptors - DESCRIPTORS_KEPT, descriptors // 2))
