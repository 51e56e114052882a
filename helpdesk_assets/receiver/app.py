"""The receiver as an ASGI application.

    POST /webhooks/{helpdesk}   200 once its changes are durable, never before
    GET  /webhooks/{helpdesk}   200: some vendors check that the URL responds
    GET  /healthz               the counts so far

`create_app` reads all settings from the environment, so any ASGI server can run it.
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

# For events that are still being written after their post was answered; `server` waits for open
# requests.
STOP_SECONDS = 5.0


class Receiver:
    """Handles the requests for one helpdesk's webhooks."""

    def __init__(self, dependencies: Dependencies, *, now: Callable[[], datetime]) -> None:
        """Set up; `now` is the current time, aware."""
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
        """Start to accept events."""
        self._intake.start()

    async def stop(self) -> None:
        """Accept no more events, and wait up to `STOP_SECONDS` for pending ones."""
        await self._intake.stop(STOP_SECONDS)

    async def webhook(self, request: Request) -> Response:
        """Accept a post, or answer a vendor's check of the URL."""
        try:
            self._check_name(request.path_params["helpdesk"])
            accepted = await self._accept(request) if request.method == "POST" else 0
        except Rejection as rejection:
            return self._rejection_response(rejection)
        except HelpdeskAssetsError as error:
            return self._rejection_response(rejection_for(error))
        return JSONResponse({"status": "ok", "events": accepted})

    async def health(self, _: Request) -> Response:
        """Report the counts; 503 while stopping."""
        status = "ok" if self._intake.is_open else "stopping"
        report = {"status": status, "queued": self._backpressure.events, **self._stats.describe()}
        return JSONResponse(report, 200 if self._intake.is_open else 503)

    def _check_name(self, helpdesk: str) -> None:
        if helpdesk != self._webhook_format.name:
            raise Rejection(404, "no such helpdesk here")

    async def _accept(self, request: Request) -> int:
        """Write a post's events and return their number once they are durable.

        Accepted events are written even if the vendor's timeout passes first: if it sends them
        again, their ids identify them.
        """
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
            raise Rejection(401, "no valid signature or secret")
        try:
            return self._webhook_format.read(post)
        except ValueError as error:
            raise Rejection(400, f"not a webhook of {self._webhook_format.name}: {error}") from None
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
    """Build the application, which closes its dependencies when it ends.

    Args:
        dependencies: what the receiver works with.
        now: the current time, aware.
    """
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
    """Create the application from settings.

    Args:
        settings: the settings, by default those of the environment.
        insecure: accept unsigned posts if WEBHOOK_SECRETS is empty.

    Raises:
        SettingsError: WEBHOOK_SECRETS is empty without `insecure`, or a setting is invalid.
    """
    return build_app(open_dependencies(settings or load_settings(), insecure=insecure))
