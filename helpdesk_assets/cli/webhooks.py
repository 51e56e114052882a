"""The command that receives webhooks."""

from __future__ import annotations

import click

from helpdesk_assets.cli.local import port_errors_explained
from helpdesk_assets.receiver.server import serve
from helpdesk_assets.settings import load_settings


def serve_webhooks(*, host: str, port: int, insecure: bool) -> None:
    """Run the receiver until it is stopped."""
    settings = load_settings()

    def announce(url: str) -> None:
        name = settings.helpdesk_provider
        click.echo(f"Receiving webhooks of {name} at {url}/webhooks/{name}")
        click.echo("Ctrl-C stops it.")

    with port_errors_explained(host, port):
        serve(settings, host=host, port=port, insecure=insecure, announce=announce)
