"""The receiver as an ASGI application: what comes in by HTTP, and what is answered.

    POST /webhooks/{helpdesk}   200 when its changes are durable, and no sooner
    GET  /webhooks/{helpdesk}   200: some vendors look whether anybody is there
    GET  /healthz               what was done so far

`create_app` takes everything from the environment, for whichever server runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpdesk_assets.errors import HelpdeskAssetsError, TicketUnreadable
from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.receiver.admission import Hold, Room, read_body
from helpdesk_assets.receiver.intake import Intake
from helpdesk_assets.receiver.rejections import RETRY_AFTER, Refusal, refusal_for
from helpdesk_assets.receiver.stats import Counters
from helpdesk_assets.receiver.wiring import Parts, open_parts
from helpdesk_assets.settings import Settings, load_settings

# What has been answered by then and is still being written; see `server` for those under way.
STOP_SECONDS = 5.0


class Receiver:
    """One helpdesk's webhooks. `secrets` empty: everybody is believed."""

    def __init__(self, parts: Parts, *, clock: Callable[[], datetime]) -> None:
        self._vendor: Vendor = parts.vendor
        self._secrets = parts.secrets
        self._clock = clock
        self._room = Room(parts.queue_size)
        self._counters = Counters(clock)
        self._intake = Intake(
            parts.vendor.name,
            parts.fetcher,
            parts.store,
            parts.pace,
            counters=self._counters,
            clock=clock,
        )

    def start(self) -> None:
        self._intake.start()

    async def stop(self) -> None:
        await self._intake.stop(STOP_SECONDS)

    async def webhook(self, request: Request) -> Response:
        """Take a post in, or answer a look."""
        try:
            self._check_name(request.path_params["helpdesk"])
            taken = await self._take(request) if request.method == "POST" else 0
        except Refusal as refusal:
            return self._refused(refusal)
        except HelpdeskAssetsError as error:
            return self._refused(refusal_for(error))
        return JSONResponse({"status": "ok", "events": taken})

    async def health(self, _: Request) -> Response:
        status = "ok" if self._intake.is_open else "stopping"
        seen = {"status": status, "queued": self._room.events, **self._counters.describe()}
        return JSONResponse(seen, 200 if self._intake.is_open else 503)

    def _check_name(self, helpdesk: str) -> None:
        if helpdesk != self._vendor.name:
            raise Refusal(404, "no such helpdesk here")

    async def _take(self, request: Request) -> int:
        """How many events are durable now. What was taken in is written also where the vendor's
        patience ends before: sent again, it is known by its id."""
        hold = Hold(self._room)
        try:
            events, received_at = await self._read(request, hold)
            if not events:
                self._counters.ignored += 1
                hold.release()
                return 0
            task = self._intake.take(events, received_at, hold)
        except BaseException:
            hold.release()
            raise
        try:
            await asyncio.wait_for(asyncio.shield(task), self._vendor.waits)
        except TimeoutError:
            raise Refusal(503, "not written yet", again=True) from None
        return len(events)

    async def _read(self, request: Request, hold: Hold) -> tuple[Sequence[Event], datetime]:
        received_at = self._clock()
        body = await read_body(request, hold)
        headers, query = dict(request.headers), dict(request.query_params)
        return self._verified(Post(body, headers, query, received_at)), received_at

    def _verified(self, post: Post) -> Sequence[Event]:
        if self._secrets and not self._vendor.verify(post, self._secrets):
            raise Refusal(401, "no good signature or secret")
        try:
            return self._vendor.read(post)
        except ValueError as error:
            raise Refusal(400, f"no webhook of {self._vendor.name}: {error}") from None
        except TicketUnreadable:
            raise Refusal(422, "the ticket cannot be read") from None

    def _refused(self, refusal: Refusal) -> Response:
        self._counters.refused(refusal.status)
        headers = {"Retry-After": str(RETRY_AFTER)} if refusal.again else None
        body = {"status": "refused", "message": str(refusal)}
        return JSONResponse(body, refusal.status, headers)


def build_app(
    parts: Parts, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """The application over its parts, which are closed when it ends."""
    receiver = Receiver(parts, clock=clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        receiver.start()
        try:
            yield
        finally:
            await receiver.stop()
            parts.close()

    return Starlette(
        routes=[
            Route("/webhooks/{helpdesk}", receiver.webhook, methods=["GET", "POST"]),
            Route("/healthz", receiver.health),
        ],
        lifespan=lifespan,
    )


def create_app(settings: Settings | None = None, *, insecure: bool = False) -> Starlette:
    """
    Raises:
        SettingsError: WEBHOOK_SECRETS is empty and it is not `insecure`, or another setting cannot
            be used.
    """
    return build_app(open_parts(settings or load_settings(), insecure=insecure))
