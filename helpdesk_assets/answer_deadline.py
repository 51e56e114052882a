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
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Monotonic = Callable[[], float]
# From the seconds that one read may take to those that the whole answer may take.
Deadline = Callable[[float], float]


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


class _CountingReader(io.BufferedReader):
    """Counts the bytes that are taken out of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        return self._count(super().read(size))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._count(super().readline(size))

    def readinto(self, buffer: Any, /) -> int:
        size = super().readinto(buffer)
        self.taken += size
        return size

    def _count(self, data: bytes) -> bytes:
        self.taken += len(data)
        return data


class _TimedAnswer(http.client.HTTPResponse):
    """An answer whose reads share one deadline, and whose body is counted as it arrives."""

    def __init__(
        self, sock: socket.socket, *, deadline: Deadline, monotonic: Monotonic, **options: Any
    ) -> None:
        super().__init__(sock, **options)
        # By now the connection has the timeout of this call's reads.
        seconds = deadline(sock.gettimeout() or 0.0)
        self._reader = _CountingReader(_TimedReader(self.fp.detach(), seconds, monotonic))
        self.fp = self._reader

    @property
    def body_bytes(self) -> int:
        """Bytes of the body so far, as they came: compressed, and with the marks of chunks."""
        return self._reader.taken - self._header_bytes

    def begin(self) -> None:
        """See `HTTPResponse.begin`."""
        super().begin()
        self._header_bytes = self._reader.taken


class LoopbackAdapter(HTTPAdapter):
    """Sends what is meant for this machine past the proxies of the environment.

    A session that trusts no environment would also forget its certificate bundles.
    """

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """See `HTTPAdapter.send`."""
        if is_loopback(request.url or ""):
            options["proxies"] = None
        return super().send(request, **options)


class DeadlineAdapter(LoopbackAdapter):
    """Sends requests without retries and gives each answer a deadline, also behind a proxy.

    What is on this machine's loopback is called directly: no proxy of the environment can reach it,
    and none should see what is sent there.
    """

    def __init__(
        self, deadline: Deadline, *, connections: int = 1, monotonic: Monotonic = time.monotonic
    ) -> None:
        """Set the deadline.

        Args:
            deadline: how long one answer may take, from the sent request to its last byte. The
                timeout of one read is added at worst.
            connections: connections that are kept open.
            monotonic: seconds of a clock that never jumps.
        """
        answer = partial(_TimedAnswer, deadline=deadline, monotonic=monotonic)
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


def is_loopback(url: str) -> bool:
    """Return whether an address, or the host of a URL, can be reached only from this machine."""
    try:
        name = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def received_bytes(response: requests.Response) -> int:
    """Return the bytes of a body that was read by a `DeadlineAdapter`, before decompression."""
    # urllib3 counts none of a chunked body, which is how most helpdesks answer.
    answer = response.raw._original_response  # noqa: SLF001 - requests itself reads it for cookies
    return answer.body_bytes if isinstance(answer, _TimedAnswer) else 0


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
        mount_deadline(session, DeadlineAdapter(lambda _: deadline, monotonic=monotonic))
        session.max_redirects = max_redirects
        with session.get(
            url, timeout=timeout, allow_redirects=max_redirects > 0, stream=True
        ) as response:
            body = next(response.iter_content(max_bytes), b"") if max_bytes else b""
            return SmallAnswer(response.status_code, body)
