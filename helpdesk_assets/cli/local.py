"""The commands that run something on this machine: simulated helpdesk, local warehouse, demo.

They need the extra `local`, and say so if it is missing.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from helpdesk_assets.cli.root import exit_on_signal
from helpdesk_assets.errors import SettingsError

HOST = "127.0.0.1"
LISTEN_ERRORS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES)


def serve_helpdesk(
    *,
    port: int,
    tickets: int,
    seed: int,
    start: datetime | None,
    history_until: datetime | None,
    dialect: str,
    webhooks_to: str | None,
    webhooks_secret: str,
    journal: Path | None,
) -> None:
    """Run the simulated helpdesk until it is interrupted.

    Raises:
        click.UsageError: `webhooks_to` is not a URL, or a journal is kept of a history that the
            next start would not have.
    """
    if journal and not history_until:
        raise click.UsageError("--journal needs --history-until: changes are kept of its tickets.")
    webhooks = _webhooks(webhooks_to, webhooks_secret)
    with _require_local_extra(), port_errors_explained(HOST, port):
        from helpdesk_assets.local.simulator.logins import login_settings
        from helpdesk_assets.local.simulator.server import DEFAULT_TOKEN, serve

        def announce(url: str) -> None:
            click.echo(f"Simulated helpdesk ({dialect}) with {tickets:,} tickets at {url}")
            click.echo("A sync logs in with these lines in .env; they open nothing else:\n")
            for name, value in login_settings(dialect, url, DEFAULT_TOKEN).items():
                click.echo(f"{name}={value}")
            click.echo("\nCtrl-C stops it.")

        serve(
            HOST,
            port,
            tickets,
            seed,
            announce=announce,
            start=start,
            history_until=history_until,
            dialect=dialect,
            webhooks=webhooks,
            journal=journal,
        )


def _webhooks(url: str | None, secrets: str) -> Mapping[str, str]:
    """Where the simulator sends webhooks, signed with the first of the secrets; empty: nowhere."""
    if not url:
        return {}
    if not url.startswith(("http://", "https://")):
        raise click.UsageError("--webhooks-to needs a URL that starts with http:// or https://.")
    return {"url": url, "secret": next(iter(secrets.replace(",", " ").split()), "")}


def serve_warehouse(*, port: int, data_dir: Path) -> None:
    """Replace this process with the local warehouse."""
    with _require_local_extra(), port_errors_explained(HOST, port):
        from helpdesk_assets.local.warehouse import check_installed, free_port, serve

        check_installed()

        # The stand-in reports a busy port by a page of traceback, or not at all.
        socket.create_server((HOST, port)).close()
        port = port or free_port()
        click.echo(
            f"Local BigQuery at http://{HOST}:{port}, tables in {data_dir}. Ctrl-C stops it."
        )
        serve(port, data_dir)


def start_demo(*, tickets: int) -> None:
    """Run the demo; exit with 1 if a result is unexpected."""
    signal.signal(signal.SIGTERM, exit_on_signal)
    with _require_local_extra():
        from helpdesk_assets.local.demo.run import run_demo

        if not run_demo(tickets):
            raise click.exceptions.Exit(1)


@contextmanager
def _require_local_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "helpdesk_assets":
            raise
        raise SettingsError(
            f"This command needs the module {error.name}, which is not installed. Run "
            "pip install '.[local]' in a clone of this project."
        ) from error


@contextmanager
def port_errors_explained(host: str, port: int) -> Iterator[None]:
    """Turn a failure to listen on an address into advice."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno not in LISTEN_ERRORS:
            raise
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {_reason(error)}. Choose another port with --port, "
            "or stop the program that uses it."
        ) from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
