"""The whole helpdesk as one ASGI application: a vendor's dialect, and the admin side beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpdesk_assets.local.simulator.admin_api import AdminApi
from helpdesk_assets.local.simulator.dialects import make_dialect
from helpdesk_assets.local.simulator.helpdesk import Desk
from helpdesk_assets.local.simulator.middleware import Gate
from helpdesk_assets.local.simulator.response_faults import JsonResponse


class ClockHeader:
    """Puts the `Date` of the helpdesk's own clock on every answer, errors included."""

    def __init__(self, app: ASGIApp, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._now(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        await self._app(scope, receive, send_dated)


async def _say_in_json(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = {"errorCode": error.status_code, "message": f"{error.detail}: {request.url.path}"}
    return JsonResponse(body, error.status_code, error.headers)


def build_app(
    desk: Desk, token: str, dialect: str = "rest", webhooks: Mapping[str, str] | None = None
) -> ASGIApp:
    """The whole helpdesk, speaking like the provider of that name. `webhooks`: the first orders
    for them (`deliveries.Orders`); none are sent without."""
    spoken = make_dialect(dialect, desk, token)
    admin = AdminApi(desk, spoken)
    admin.deliveries.order(dict(webhooks or {}))
    app = Starlette(
        routes=[*spoken.routes(Gate(desk, spoken)), *admin.routes()],
        exception_handlers={HTTPException: _say_in_json},
    )
    return ClockHeader(app, desk.clock.now)
