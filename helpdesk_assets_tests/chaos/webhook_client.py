"""Posts webhooks to the real receiver in this process: its application, queue and store.

Webhooks of one round are posted concurrently and in order, so that the scenario, not chance,
decides which the receiver sees first.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

from starlette.applications import Starlette

from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.wiring import open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.webhook_posts import rest_headers

T = TypeVar("T")


class WebhookClient:
    """A receiver between `start` and `stop`; `now` is the receiver's clock."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._secret = settings.webhook_secrets.get_secret_value()
        self._path = f"/webhooks/{settings.helpdesk_provider}"
        self._clock = now
        self._app = build_app(open_dependencies(settings), now=now)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receiver")
        self._lifespan = self._app.router.lifespan_context(self._app)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait_for(self._lifespan.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait_for(self._lifespan.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def post(self, events: Sequence[dict[str, Any]]) -> list[int]:
        """Post the webhooks; returns the status of each."""
        at = self._clock().timestamp()
        bodies = [json.dumps(event).encode() for event in events]
        return self._wait_for(self._post_all(bodies, at))

    async def _post_all(self, bodies: Sequence[bytes], at: float) -> list[int]:
        sent = (
            _exchange(self._app, self._path, body, rest_headers(body, self._secret, at))
            for body in bodies
        )
        return list(await asyncio.gather(*sent))

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)


async def _exchange(app: Starlette, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Hand one POST to the application as a server does; returns the status of the answer."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]
