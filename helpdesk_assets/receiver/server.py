"""Runs the receiver on uvicorn until it is told to end, and then in order: no new posts, an answer
for each that is under way, exit code 0.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.http_server import Server, listen
from helpdesk_assets.receiver.app import create_app
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import is_loopback

# Most platforms give a process thirty seconds to end; `app` takes some for what was answered.
STOP_SECONDS = 20
# Connections beyond those that can be held in the queue: bodies under way, and looks.
SPARE_CONNECTIONS = 500


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    insecure: bool,
    announce: Callable[[str], None],
) -> None:
    """Run until SIGTERM or an interrupt.

    Args:
        settings: of the helpdesk, the warehouse and the webhooks.
        host: address to listen on.
        port: 0 for a free one.
        insecure: be content without a secret; on loopback only.
        announce: told the base URL once posts are taken.

    Raises:
        SettingsError: no secret, or a setting that cannot be used.
        OSError: the address cannot be listened on.
    """
    display_host = f"[{host}]" if ":" in host else host
    if insecure and not is_loopback(display_host):
        raise SettingsError(
            f"--insecure believes everybody who reaches {display_host}:{port}. It is for "
            "127.0.0.1, ::1 and localhost; anywhere else set WEBHOOK_SECRETS."
        )
    app = create_app(settings, insecure=insecure)
    with listen(host, port) as listener:
        url = f"http://{display_host}:{listener.getsockname()[1]}"
        server = Server(configure(app, settings), lambda: announce(url))
        # uvicorn has shut down in order by the time it passes the signal on, which would then end
        # the process as if it had not.
        previous_handler = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, previous_handler)


def configure(app: Starlette, settings: Settings) -> uvicorn.Config:
    """The log of requests is off: URLs may hold a secret."""
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.webhook_queue_size + SPARE_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
