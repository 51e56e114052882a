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
from helpdesk_assets.providers.webhooks.events import Event, Post, WebhookFormat
from helpdesk_assets.receiver.admission import Backpressure, Reservation, read_body
from helpdesk_assets.receiver.intake import Intake
from helpdesk_assets.receiver.rejections import RETRY_AFTER_SECONDS, Rejection, rejection_for
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings, load_settings

# What has been answered by then and is still being written; see `server` for those under way.
STOP_SECONDS = 5.0


class Receiver:
    """One helpdesk's webhooks. `secrets` empty: everybody is believed."""

    def __init__(self, dependencies: Dependencies, *, now: Callable[[], datetime]) -> None:
        self._webhook_format: WebhookFormat = dependencies.webhook_format
        self._secrets = dependencies.secrets
        self._now = now
        self._backpressure = Backpressure(dependencies.queue_size)
        self._stats = ReceiverStats(now)
        self._intake = Intake(
            dependencies.webhook_format.name,
            dependencies.fetcher,
            dependencies.store,
            dependencies.batching,
            stats=self._stats,
            now=now,
        )

    def start(self) -> None:
        self._intake.start()

    async def stop(self) -> None:
        await self._intake.stop(STOP_SECONDS)

    async def webhook(self, request: Request) -> Response:
        """Take a post in, or answer a look."""
        try:
            self._check_name(request.path_params["helpdesk"])
            accepted = await self._accept(request) if request.method == "POST" else 0
        except Rejection as rejection:
            return self._rejection_response(rejection)
        except HelpdeskAssetsError as error:
            return self._rejection_response(rejection_for(error))
        return JSONResponse({"status": "ok", "events": accepted})

    async def health(self, _: Request) -> Response:
        status = "ok" if self._intake.is_open else "stopping"
        report = {"status": status, "queued": self._backpressure.events, **self._stats.describe()}
        return JSONResponse(report, 200 if self._intake.is_open else 503)

    def _check_name(self, helpdesk: str) -> None:
        if helpdesk != self._webhook_format.name:
            raise Rejection(404, "no such helpdesk here")

    async def _accept(self, request: Request) -> int:
        """How many events are durable now. What was taken in is written also where the vendor's
        patience ends before: sent again, it is known by its id."""
        reservation = Reservation(self._backpressure)
        try:
            events, received_at = await self._read(request, reservation)
            if not events:
                self._stats.ignored += 1
                reservation.release()
                return 0
            task = self._intake.accept(events, received_at, reservation)
        except BaseException:
            reservation.release()
            raise
        try:
            await asyncio.wait_for(asyncio.shield(task), self._webhook_format.timeout)
        except TimeoutError:
            raise Rejection(503, "not written yet", retryable=True) from None
        return len(events)

    async def _read(
        self, request: Request, reservation: Reservation
    ) -> tuple[Sequence[Event], datetime]:
        received_at = self._now()
        body = await read_body(request, reservation)
        headers, query = dict(request.headers), dict(request.query_params)
        return self._verified_events(Post(body, headers, query, received_at)), received_at

    def _verified_events(self, post: Post) -> Sequence[Event]:
        if self._secrets and not self._webhook_format.verify(post, self._secrets):
            raise Rejection(401, "no good signature or secret")
        try:
            return self._webhook_format.read(post)
        except ValueError as error:
            raise Rejection(400, f"no webhook of {self._webhook_format.name}: {error}") from None
        except TicketUnreadable:
            raise Rejection(422, "the ticket cannot be read") from None

    def _rejection_response(self, rejection: Rejection) -> Response:
        self._stats.record_rejection(rejection.status)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if rejection.retryable else None
        body = {"status": "refused", "message": str(rejection)}
        return JSONResponse(body, rejection.status, headers)


def build_app(
    dependencies: Dependencies, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """The application over its parts, which are closed when it ends."""
    receiver = Receiver(dependencies, now=now)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        receiver.start()
        try:
            yield
        finally:
            await receiver.stop()
            dependencies.close()

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
    return build_app(open_dependencies(settings or load_settings(), insecure=insecure))
