"""The receiver as an ASGI application.

    POST /webhooks/{helpdesk}   200 once its events are durable, never before
    GET  /webhooks/{helpdesk}   200: some vendors check that the URL responds
    GET  /healthz               the counts so far; 200 while the process works
    GET  /healthz/storing       the same; 503 if events are not being stored

`create_app` reads all settings from the environment, so any ASGI server can run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpdesk_assets.errors import HelpdeskAssetsError, TicketUnreadable
from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.receiver.admission import (
    MAX_HELD_BYTES,
    Backpressure,
    Reservation,
    read_body,
)
from helpdesk_assets.receiver.connections import OpenConnections, connection_limit
from helpdesk_assets.receiver.intake import Intake
from helpdesk_assets.receiver.merging import merging
from helpdesk_assets.receiver.protocol import bounded_protocol
from helpdesk_assets.receiver.rejections import (
    RETRY_AFTER_SECONDS,
    PostNotVerified,
    Rejection,
    rejection_for,
)
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings, load_settings

# For events that are still being written after their post was answered; `server` waits for open
# requests.
STOP_SECONDS = 5.0
UNSIGNED_DETAIL = (
    "Their sender does not know WEBHOOK_SECRETS: a stranger, or the vendor with another secret."
)


class Receiver:
    """Handles the requests for one helpdesk's webhooks."""

    def __init__(self, dependencies: Dependencies, *, now: Callable[[], datetime]) -> None:
        """Set up; `now` is the current time, aware."""
        self._webhook_format: WebhookFormat = dependencies.webhook_format
        self._secrets = dependencies.secrets
        self._now = now
        self._backpressure = Backpressure(dependencies.queue_size, MAX_HELD_BYTES)
        self._stats = ReceiverStats(now)
        self._connections = OpenConnections(connection_limit(dependencies.queue_size))
        self._intake = Intake(
            dependencies.webhook_format.name, dependencies, stats=self._stats, now=now
        )

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol for uvicorn, with this receiver's limits."""
        return bounded_protocol(self._connections, self._stats)

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
        """Report the counts; 503 only while stopping, since a restart mends nothing else."""
        return JSONResponse(self._health(), 200 if self._intake.is_open else 503)

    async def storing(self, _: Request) -> Response:
        """Report the counts; 503 if events are not being stored, for those who watch."""
        report = self._health()
        return JSONResponse(report, 200 if report["status"] == "ok" else 503)

    async def no_such_path(self, _: Request, error: Exception) -> Response:
        """Count and answer a request for which there is no route."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        message = "no such path here" if status == 404 else "no such method here"
        return self._rejection_response(Rejection(status, message))

    def _health(self) -> dict[str, Any]:
        status = "ok" if self._stats.is_storing else "failing"
        return {
            "status": status if self._intake.is_open else "stopping",
            "queued": self._backpressure.events,
            **self._stats.describe(),
            "refusals": self._intake.refusals.describe(),
            "drain": self._intake.describe_drain(),
            "connections": self._connections.describe(),
        }

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
            post = await self._verified_post(request, reservation)
            events = self._events(post)
            if not events:
                self._stats.ignored += 1
                reservation.release()
                return 0
            task = self._take(events, post.received_at, reservation)
        except BaseException:
            reservation.release()
            raise
        try:
            await asyncio.wait_for(asyncio.shield(task), self._webhook_format.timeout)
        except TimeoutError:
            raise Rejection(503, "not written yet", retryable=True) from None
        return len(events)

    async def _verified_post(self, request: Request, reservation: Reservation) -> Post:
        """Read a post, and keep its place once its sender is verified.

        Raises:
            Rejection: the body cannot be read, or nothing proves its sender.
            EndpointFailed: what verifies it is out of reach.
        """
        received_at = self._now()
        body = await read_body(request, reservation)
        post = Post(body, dict(request.headers), dict(request.query_params), received_at)
        if self._secrets:
            self._check_sender(post)
        reservation.verified()
        request.state.verified = True
        return post

    def _check_sender(self, post: Post) -> None:
        try:
            verification = self._webhook_format.verify(post, self._secrets)
        except HelpdeskAssetsError as error:
            self._stats.record_verification_failure(error)
            raise
        if not verification.is_signed:
            raise PostNotVerified("no valid signature or secret", UNSIGNED_DETAIL)
        self._stats.record_signed(verification.time_off)
        if verification.time_off is not None:
            raise PostNotVerified("signed correctly, but not now", _clock_detail(verification))

    def _events(self, post: Post) -> Sequence[Event]:
        try:
            return self._webhook_format.read(post)
        except ValueError as error:
            cause = f"not a webhook of {self._webhook_format.name}"
            rejection = Rejection(400, f"{cause}: {error}", cause=cause)
            self._intake.record_refusal(rejection, post.received_at)
            raise rejection from None
        except TicketUnreadable as error:
            self._intake.record_refusal(error, post.received_at)
            raise Rejection(422, "the ticket cannot be read") from None

    def _take(
        self, events: Sequence[Event], received_at: datetime, reservation: Reservation
    ) -> asyncio.Task[None]:
        try:
            return self._intake.accept(events, received_at, reservation)
        except Rejection as rejection:
            for event in events:
                self._intake.record_refusal(rejection, received_at, event)
            raise

    def _rejection_response(self, rejection: Rejection) -> Response:
        self._stats.record_rejection(rejection.status, rejection.cause, rejection.detail)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if rejection.retryable else None
        body = {"status": "refused", "message": str(rejection)}
        return JSONResponse(body, rejection.status, headers)


def _clock_detail(verification: Verification) -> str:
    minutes = (verification.time_off or timedelta(0)).total_seconds() / 60
    side = "ahead of" if minutes > 0 else "behind"
    return (
        f"Their time is {abs(minutes):.0f} minutes {side} ours: check this machine's clock. If it "
        "is right, somebody sends copies of old posts."
    )


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

    app = Starlette(
        routes=[
            # A vendor does not follow a redirect, and one to http would carry a URL's secret.
            Route("/webhooks/{helpdesk}", receiver.webhook, methods=["GET", "POST"]),
            Route("/webhooks/{helpdesk}/", receiver.webhook, methods=["GET", "POST"]),
            Route("/healthz", receiver.health),
            Route("/healthz/storing", receiver.storing),
        ],
        exception_handlers={404: receiver.no_such_path, 405: receiver.no_such_path},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.protocol = receiver.protocol
    return app


def create_app(
    settings: Settings | None = None,
    *,
    insecure: bool = False,
    read_again: Callable[[], Settings] | None = None,
) -> Starlette:
    """Create the application from settings.

    Args:
        settings: the settings, by default those of the environment.
        insecure: accept unsigned posts if WEBHOOK_SECRETS is empty.
        read_again: reads the settings again when the helpdesk refuses its credentials; by default
            those of the environment, if `settings` were read there.

    Raises:
        SettingsError: WEBHOOK_SECRETS is empty without `insecure`, or a setting is invalid.
    """
    if settings is None:
        settings, read_again = load_settings(), load_settings
    return build_app(
        open_dependencies(
            settings, insecure=insecure, read_again=read_again, merge=merging(settings)
        )
    )
