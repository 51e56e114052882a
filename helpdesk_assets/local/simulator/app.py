"""The simulated helpdesk as one ASGI application: a vendor's API and the admin API."""

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
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import CallMiddleware
from helpdesk_assets.local.simulator.response_faults import JsonResponse


class DateHeaderMiddleware:
    """Adds a `Date` header by the helpdesk's clock to every answer without one, also to errors."""

    def __init__(self, app: ASGIApp, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; see ASGI."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name != b"date" for name, _ in headers):
                    date = format_datetime(self._now(), usegmt=True).encode()
                    headers.append((b"date", date))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_dated)


async def _json_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = {"errorCode": error.status_code, "message": f"{error.detail}: {request.url.path}"}
    return JsonResponse(body, error.status_code, error.headers)


def build_app(
    backend: HelpdeskBackend,
    token: str,
    dialect: str = "rest",
    webhooks: Mapping[str, str] | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        backend: the helpdesk's state.
        token: token that calls of the vendor's API must carry.
        dialect: name of the provider whose API it has.
        webhooks: initial `webhook_sender.WebhookOptions`; without a `url`, none are sent.
    """
    vendor_dialect = make_dialect(dialect, backend, token)
    admin = AdminApi(backend, vendor_dialect)
    admin.webhook_sender.configure(dict(webhooks or {}))
    app = Starlette(
        routes=[*vendor_dialect.routes(CallMiddleware(backend, vendor_dialect)), *admin.routes()],
        exception_handlers={HTTPException: _json_error},
    )
    return DateHeaderMiddleware(app, backend.clock.now)
