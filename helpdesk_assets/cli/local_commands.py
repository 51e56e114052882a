"""The commands that run something on this machine, with their options and their help.

None of them uses the BigQuery client of the other commands. A command imports its body when it
runs, as in `cli.commands`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from helpdesk_assets.cli.root import verbose_option
from helpdesk_assets.cli.times import parse_time
from helpdesk_assets.providers.registry import PROVIDERS

SIMULATOR_PORT = 8420
WAREHOUSE_PORT = 9050
TICKETS: dict[str, Any] = {"default": 5000, "show_default": True, "help": "Number of tickets."}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=SIMULATOR_PORT, show_default=True)
@click.option("--tickets", type=click.IntRange(min=1), **TICKETS)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same tickets.")
@click.option(
    "--start",
    metavar="TIME",
    callback=parse_time,
    help="Initial time of its clock; the current time if left out.",
)
@click.option(
    "--history-until",
    metavar="TIME",
    callback=parse_time,
    help="End of the tickets' generated history. The same time gives the same history.",
)
@click.option(
    "--dialect",
    type=click.Choice(PROVIDERS),
    default="rest",
    show_default=True,
    help="The provider whose API it offers.",
)
@click.option(
    "--webhooks-to", metavar="URL", help="Send a signed webhook for each change to this URL."
)
@click.option(
    "--webhooks-secret",
    envvar="WEBHOOK_SECRETS",
    show_envvar=True,
    default="",
    help="Secrets; the first one signs.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep changes of tickets in this file, and begin with those in it.",
)
@verbose_option
def simulate(
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
    """Run the simulated helpdesk in the foreground."""
    from helpdesk_assets.cli.local import serve_helpdesk

    serve_helpdesk(
        port=port,
        tickets=tickets,
        seed=seed,
        start=start,
        history_until=history_until,
        dialect=dialect,
        webhooks_to=webhooks_to,
        webhooks_secret=webhooks_secret,
        journal=journal,
    )


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=WAREHOUSE_PORT, show_default=True)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".local/warehouse"),
    show_default=True,
    help="Where to keep its tables.",
)
@verbose_option
def warehouse(port: int, data_dir: Path) -> None:
    """Run the local BigQuery in the foreground."""
    from helpdesk_assets.cli.local import serve_warehouse

    serve_warehouse(port=port, data_dir=data_dir)


@click.command()
@click.option("--tickets", type=click.IntRange(min=100), **TICKETS)
@verbose_option
def demo(tickets: int) -> None:
    """Lose webhooks on this machine, and watch the sync find them."""
    from helpdesk_assets.cli.local import start_demo

    start_demo(tickets=tickets)
