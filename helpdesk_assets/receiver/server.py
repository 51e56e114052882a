"""Runs the receiver on uvicorn and shuts it down in order.

On SIGTERM or an interrupt it accepts no new posts, answers the open ones, and exits with code 0.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from helpdesk_assets.answer_deadline import is_loopback
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.http_server import Server, listen
from helpdesk_assets.receiver.app import create_app
from helpdesk_assets.receiver.protocol import MAX_HEADER_BYTES
from helpdesk_assets.settings import Settings, load_settings

# Most platforms kill a process thirty seconds after SIGTERM; `app` needs some of them.
STOP_SECONDS = 20


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
        settings: the settings of helpdesk, warehouse and webhooks.
        host: the address to listen on.
        port: the port to listen on, 0 for a free one.
        insecure: accept unsigned posts; on loopback only.
        announce: called with the base URL once posts are accepted.

    Raises:
        SettingsError: WEBHOOK_SECRETS is empty without `insecure`, or a setting is invalid.
        OSError: the address is not available.
    """
    display_host = f"[{host}]" if ":" in host else host
    if insecure and not is_loopback(display_host):
        raise SettingsError(
            f"--insecure accepts posts from everybody who reaches {display_host}:{port}. It works "
            "on 127.0.0.1, ::1 and localhost only; anywhere else set WEBHOOK_SECRETS."
        )
    app = create_app(settings, insecure=insecure, read_again=load_settings)
    with listen(host, port) as listener:
        url = f"http://{display_host}:{listener.getsockname()[1]}"
        server = Server(configure(app), lambda: announce(url))
        # uvicorn raises the signal again after an orderly shutdown, which would end the process
        # with the signal's exit code instead of 0.
        previous_handler = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, previous_handler)


def configure(app: Starlette) -> uvicorn.Config:
    """Configure uvicorn, without its log of requests: URLs may hold a secret."""
    return uvicorn.Config(
        app,
        http=app.state.protocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws="none",
        lifespan="on",
        log_config=None,
        # It warns of every request that is not HTTP; these are counted.
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
