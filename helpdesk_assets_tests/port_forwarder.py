"""Forwards connections to another port, bytes for bytes.

A stand-in serves gRPC ten ports above REST, and who talks to a proxy of its REST expects gRPC ten
ports above the proxy.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from helpdesk_assets.local.warehouse import GRPC_OFFSET, HOST
from helpdesk_assets.settings import grpc_address


class PortForwarder:
    """A context manager that listens on a port of this machine."""

    def __init__(self, port: int, target: str) -> None:
        """Listen; `target` is a host with its port."""
        host, _, number = target.rpartition(":")
        self._target = (host, int(number))
        self._listener = socket.create_server((HOST, port))
        self._ends: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @classmethod
    def beside(cls, proxy_port: int, stand_in: str) -> Self:
        """Listen beside a proxy of REST for the gRPC of the stand-in at that address."""
        return cls(proxy_port + GRPC_OFFSET, grpc_address(stand_in))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in tuple(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                called = socket.create_connection(self._target)
            except OSError:
                caller.close()
                continue
            for source, sink in ((caller, called), (called, caller)):
                self._ends.add(source)
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        # The other direction ends as well, and closes its own end.
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        self._ends.discard(source)
        source.close()
