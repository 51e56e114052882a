"""Ends an HTTP answer that takes too long as a whole.

The timeouts of requests hold for each read, so a server that sends a byte now and then holds a call
without end. Here every read of one answer, from its first header on, shares one deadline.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Monotonic = Callable[[], float]


class _TimedReader(io.RawIOBase):
    """Reads a socket until the deadline."""

    def __init__(self, raw: io.RawIOBase, seconds: float, monotonic: Monotonic) -> None:
        self._raw = raw
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._monotonic() >= self._ends_at:
            raise TimeoutError("the whole answer took too long")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedAnswer(http.client.HTTPResponse):
    """An answer whose reads share one deadline."""

    def __init__(
        self, sock: socket.socket, *, seconds: float, monotonic: Monotonic, **options: Any
    ) -> None:
        super().__init__(sock, **options)
        reader = _TimedReader(self.fp.detach(), seconds, monotonic)
        self.fp = io.BufferedReader(reader)


class DeadlineAdapter(HTTPAdapter):
    """Sends requests without retries and gives each answer a deadline, also behind a proxy."""

    def __init__(
        self, seconds: float, *, connections: int = 1, monotonic: Monotonic = time.monotonic
    ) -> None:
        """Set the deadline.

        Args:
            seconds: how long one answer may take, from the sent request to its last byte. The
                timeout of one read is added at worst.
            connections: connections that are kept open.
            monotonic: seconds of a clock that never jumps.
        """
        answer = partial(_TimedAnswer, seconds=seconds, monotonic=monotonic)
        # As urllib3's subclasses do; its pools take the class of their connections from themselves.
        plain = type("_Plain", (HTTPConnection,), {"response_class": staticmethod(answer)})
        secure = type("_Secure", (HTTPSConnection,), {"response_class": staticmethod(answer)})
        self._pools = {
            "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See `HTTPAdapter.init_poolmanager`."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """See `HTTPAdapter.proxy_manager_for`."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def mount_deadline(session: requests.Session, adapter: DeadlineAdapter) -> None:
    """Let every request of the session end by the adapter's deadline."""
    for scheme in ("http", "https"):
        session.mount(f"{scheme}://", adapter)


@dataclass(frozen=True, slots=True)
class SmallAnswer:
    """A status, and the first bytes of a body."""

    status: int
    body: bytes


def get_once(
    url: str,
    *,
    timeout: float,
    deadline: float,
    max_bytes: int = 1 << 20,
    max_redirects: int = 0,
    monotonic: Monotonic = time.monotonic,
) -> SmallAnswer:
    """Send one GET, of which the answer is small.

    Args:
        url: where to.
        timeout: seconds that connecting, and one read, may take.
        deadline: seconds that the whole answer may take.
        max_bytes: more of a body is not read.
        max_redirects: how many redirects are followed, each with a deadline of its own.
        monotonic: seconds of a clock that never jumps.

    Raises:
        OSError: no answer came in time; all errors of requests are such.
    """
    with requests.Session() as session:
        mount_deadline(session, DeadlineAdapter(deadline, monotonic=monotonic))
        session.max_redirects = max_redirects
        with session.get(
            url, timeout=timeout, allow_redirects=max_redirects > 0, stream=True
        ) as response:
            body = next(response.iter_content(max_bytes), b"") if max_bytes else b""
            return SmallAnswer(response.status_code, body)
