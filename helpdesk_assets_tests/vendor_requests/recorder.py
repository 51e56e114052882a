"""Records what adapters ask simulated helpdesks, and holds it against the vendor's description."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpdesk_assets.local.simulator import server
from helpdesk_assets.local.simulator.app import build_app
from helpdesk_assets_tests.providers.loopback import ReceivedRequest
from helpdesk_assets_tests.vendor_requests.apis import APIS
from helpdesk_assets_tests.vendor_requests.description import RecordedRequest

# Tests control the simulated helpdesk by these; no adapter calls them.
CONTROLS = ("/admin/", "/healthz")
MAX_SHOWN = 5


class RequestRecorder:
    """Holds requests against descriptions while `holding`; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: list[str] | None = None
        self.held = 0

    def wrap(self, app: ASGIApp, provider: str) -> ASGIApp:
        """Return a simulated helpdesk's application that reports each call."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            pieces: list[bytes] = []

            async def listen() -> Message:
                message = await receive()
                pieces.append(message.get("body", b""))
                return message

            async def answer(message: Message) -> None:
                # Before the caller has its answer: the test may end with it.
                if message["type"] == "http.response.start":
                    self.hold(provider, _of_scope(scope, b"".join(pieces)))
                await send(message)

            await app(scope, listen, answer)

        return recorded

    def hold(self, provider: str, request: RecordedRequest) -> None:
        """Hold one request against the provider's description."""
        if request.path.startswith(CONTROLS):
            return
        with self._lock:
            if self._problems is not None:
                self.held += 1
                self._problems += APIS[provider].problems(request)

    def hold_received(self, provider: str, received: ReceivedRequest) -> None:
        """Hold a request of a server with canned answers."""
        target = urlsplit(received.path)
        headers = {name.lower(): value for name, value in received.headers.items()}
        query = tuple(parse_qsl(target.query, keep_blank_values=True))
        self.hold(
            provider,
            RecordedRequest(received.method, target.path, query, headers, received.body),
        )

    @contextmanager
    def holding(self) -> Iterator[list[str]]:
        """Collect the problems of requests made inside the block."""
        problems: list[str] = []
        with self._lock:
            self._problems = problems
        try:
            yield problems
        finally:
            with self._lock:
                self._problems = None


def _of_scope(scope: Scope, body: bytes) -> RecordedRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = tuple(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    path = scope.get("raw_path") or scope["path"].encode()
    return RecordedRequest(scope["method"], path.decode(), query, headers, body)


def expect_none(problems: list[str], node: pytest.Item) -> None:
    """Fail if there are problems, but for those that the test means to make."""
    meant = [mark.args[0] for mark in node.iter_markers("asks_wrongly")]
    distinct = [each for each in dict.fromkeys(problems) if not any(one in each for one in meant)]
    shown = "\n".join(distinct[:MAX_SHOWN])
    assert not distinct, f"{len(distinct)} requests are not as the vendor publishes them:\n{shown}"


@pytest.fixture(scope="session")
def request_recorder() -> Iterator[RequestRecorder]:
    """The recorder of every simulated helpdesk that is started from now on."""
    recorder = RequestRecorder()

    def build_recorded(backend: Any, token: str, dialect: str, webhooks: Any) -> ASGIApp:
        return recorder.wrap(build_app(backend, token, dialect, webhooks), dialect)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "build_app", build_recorded)
        yield recorder


@pytest.fixture
def held_requests(
    request_recorder: RequestRecorder, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fail a test whose adapters make requests that their vendors do not publish."""
    with request_recorder.holding() as problems:
        yield
    expect_none(problems, request.node)
