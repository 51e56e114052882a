"""What a stranger who reaches the receiver's port can hold: memory, time and connections."""

from __future__ import annotations

import json
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from helpdesk_assets.receiver import app, protocol
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
from helpdesk_assets_tests.receiver.receiver_process import ReceiverProcess, environment_of
from helpdesk_assets_tests.receiver.webhook_posts import (
    Sender,
    rest_event,
    rest_headers,
    whole_ticket,
)

HALF_OPEN = b"POST /webhooks/rest HTTP/1.1\r\nHost: x\r\nX-A: "
MEBIBYTE = 1 << 20


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def answer_of(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    read = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            read += chunk
    return read


def send_until_closed(connection: socket.socket, chunk: bytes, size: int) -> int:
    """Send up to `size` bytes; returns how many went out before the other side closed."""
    sent = 0
    with suppress(OSError):
        while sent < size:
            connection.sendall(chunk)
            sent += len(chunk)
    return sent


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)


def memory_of(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture
def receiver_process(settings_alone: Settings, tmp_path: Path) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path, environment_of(settings_alone)) as running:
        yield running


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize(
    ("begin", "chunk", "size"),
    [
        (HALF_OPEN, b"a" * MEBIBYTE, 200 * MEBIBYTE),
        (HALF_OPEN[:-5], b"a: b\r\n" * 100_000, 61 * MEBIBYTE),
        (b"POST /", b"a" * MEBIBYTE, 200 * MEBIBYTE),
    ],
    ids=["one-header", "many-headers", "path"],
)
def test_headers_without_end_take_no_memory(
    receiver_process: ReceiverProcess, begin: bytes, chunk: bytes, size: int
) -> None:
    sender = Sender(receiver_process.url)
    sender.health()
    before = memory_of(receiver_process.process.pid)
    with connect(receiver_process.url) as connection:
        connection.sendall(begin)
        sent = send_until_closed(connection, chunk, size)
    grown = memory_of(receiver_process.process.pid) - before
    refused = sender.health()["refused"]
    sender.close()

    assert sent < size
    assert grown < 8 * MEBIBYTE
    assert refused == {"400": 1}


def test_one_read_holds_no_more_headers_than_the_bound(sender_alone: Sender) -> None:
    headers = b"a: b\r\n" * (protocol.MAX_HEADER_BYTES // 3)
    with connect(sender_alone.url) as connection:
        with suppress(OSError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        answered = answer_of(connection)
    assert not answered.startswith(b"HTTP/1.1 200")
    assert sender_alone.health()["refused_because"] == {"not HTTP": 1}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sent", [b"", b"G", HALF_OPEN])
def test_half_open_connection_is_closed(sender_alone: Sender, sent: bytes) -> None:
    with connect(sender_alone.url) as connection:
        connection.sendall(sent)
        assert answer_of(connection) == b""
    assert sender_alone.health()["connections"]["timed_out"] == 1


@pytest.mark.usefixtures("impatient")
def test_second_request_of_a_connection_has_a_deadline(sender_alone: Sender) -> None:
    with connect(sender_alone.url) as connection:
        connection.sendall(b"GET /webhooks/rest HTTP/1.1\r\nHost: x\r\n\r\n" + HALF_OPEN)
        answered = answer_of(connection)
    assert answered.count(b"HTTP/1.1 ") == 1
    assert sender_alone.health()["connections"]["timed_out"] == 1


@pytest.mark.usefixtures("impatient")
def test_body_after_its_answer_has_a_deadline(sender_alone: Sender) -> None:
    began = time.monotonic()
    with connect(sender_alone.url) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404")
        with suppress(OSError):
            while time.monotonic() < began + 30:
                connection.sendall(b"x")
                threading.Event().wait(0.01)
    assert time.monotonic() < began + 10


def test_request_without_an_end_is_closed(
    sender_alone: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose sender takes no answers, so that writing them never ends."""
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.2)
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    with connect(sender_alone.url) as connection:
        send_until_closed(connection, asked, 1 << 30)
    health = Sender(sender_alone.url)
    assert health.health()["connections"]["timed_out"] == 1
    health.close()


def few_descriptors(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (count, count))


def test_half_open_connections_do_not_keep_posts_out(
    open_alone: Open, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_descriptors(monkeypatch, 96)
    with open_alone(store=memory) as sender, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(sender.url)).sendall(HALF_OPEN)
        answer = sender.send(rest_event(whole_ticket(1), "through"))
        found = sender.health()["connections"]

    assert answer.status_code == 200
    assert found["limit"] == 48
    assert found["open"] <= 48
    assert found["evicted"] >= 252


def test_unsigned_bodies_do_not_keep_posts_out(
    open_alone: Open, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 16 * 1024
    monkeypatch.setattr(app, "MAX_HELD_BYTES", 64 * size)
    head = b"POST /webhooks/rest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    with open_alone(store=memory) as sender, ExitStack() as stack:
        for _ in range(66):
            connection = stack.enter_context(connect(sender.url))
            connection.sendall(head + b" " * (size - 1))
        body = json.dumps(rest_event(whole_ticket(1), "through")).encode().ljust(size)
        assert sender.post(body, rest_headers(body)).status_code == 200
        assert sender.health()["refused_because"]["too much is waiting to be written"] > 0
    assert memory.written == ["through"]


def test_malformed_requests_write_no_log_lines(
    sender_alone: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for sent in (b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"nonsense\r\n\r\n"):
            with connect(sender_alone.url) as connection:
                connection.sendall(sent)
                assert answer_of(connection).startswith(b"HTTP/1.1 400")
    assert sender_alone.health()["refused_because"] == {"not HTTP": 3}
    assert len(caplog.records) == 1
