"""The commands with their options and their help. The bodies are in the other modules.

A command imports its body when it runs. Imports at the top of this module slow down `--help`.
"""

from __future__ import annotations

from datetime import datetime

import click

from helpdesk_assets.cli.local_commands import demo, simulate, warehouse
from helpdesk_assets.cli.root import Root, verbose_option
from helpdesk_assets.cli.times import parse_ids, parse_time

WEBHOOKS_PORT = 8430

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON only.")


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="helpdesk-assets", prog_name="helpdesk-assets")
@verbose_option
def root() -> None:
    """Keep a helpdesk's tickets in BigQuery.

    Settings come from the environment and from .env; .env.example lists them all. Without any,
    everything runs against a simulated helpdesk and a local BigQuery.
    """


@root.command()
@click.option("--full", is_flag=True, help="Read every ticket, whatever the watermark is.")
@click.option(
    "--adopt-account",
    is_flag=True,
    help="Take over a dataset that another account of a helpdesk has filled: says what it does.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would read and cost; write nothing.")
@json_option
@verbose_option
def sync(full: bool, adopt_account: bool, dry_run: bool, as_json: bool) -> None:
    """Run one sync, without Dagster."""
    if dry_run:
        if adopt_account:
            raise click.UsageError("--dry-run writes nothing; leave out --adopt-account.")
        from helpdesk_assets.cli.preview import preview_once

        preview_once(full=full, as_json=as_json)
        return
    from helpdesk_assets.cli.sync import sync_once

    sync_once(full=full, adopt_account=adopt_account, as_json=as_json)


@root.command()
@click.option("--ids", metavar="ID,ID,...", callback=parse_ids, help="Fetch these tickets.")
@click.option(
    "--since", metavar="TIME", callback=parse_time, help="Read changes from this time on."
)
@click.option("--until", metavar="TIME", callback=parse_time, help="Read changes up to this time.")
@click.option(
    "--mark-deleted",
    is_flag=True,
    help="With --ids: set deletedTime of tickets that the helpdesk no longer has.",
)
@json_option
@verbose_option
def repair(
    ids: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    mark_deleted: bool,
    as_json: bool,
) -> None:
    """Read some tickets again, by id or by time of change.

    TIME is ISO 8601 with a zone, such as 2026-11-23T10:00:00Z. Newer rows in the
    table stay, and the watermark does not move. Exit 1 if a ticket cannot be read.
    """
    if bool(ids) == bool(since or until):
        raise click.UsageError("Give either --ids, or --since, --until or both.")
    if since and until and since > until:
        raise click.UsageError("--since is later than --until.")
    if mark_deleted and not ids:
        raise click.UsageError("--mark-deleted needs --ids.")
    from helpdesk_assets.cli.repair import repair_by_id, repair_range

    if not ids:
        repair_range(since=since, until=until, as_json=as_json)
    elif not repair_by_id(ids, mark_deleted=mark_deleted, as_json=as_json):
        raise click.exceptions.Exit(1)


@root.command()
@click.option("--dry-run", is_flag=True, help="Report differences without repairing.")
@json_option
@verbose_option
def reconcile(dry_run: bool, as_json: bool) -> None:
    """Compare all tickets with the table; repair differences.

    Lists ids and modified times, and fetches the tickets that are missing or out of date in the
    table. Looks up each ticket that is not listed, and marks it as deleted if the helpdesk has
    none. Marks none of them if they are more than a share of RECONCILE_MOST_GONE_SHARE. The
    watermark does not move. Exit 1 if something is still wrong.
    """
    from helpdesk_assets.cli.reconcile import reconcile_once

    if not reconcile_once(dry_run=dry_run, as_json=as_json):
        raise click.exceptions.Exit(1)


@root.command()
@json_option
@verbose_option
def status(as_json: bool) -> None:
    """Show the watermark, the last runs, and what webhooks missed."""
    from helpdesk_assets.cli.status import show_status

    show_status(as_json=as_json)


@root.command()
@click.option(
    "--days",
    type=click.IntRange(1, 180),
    default=30,
    show_default=True,
    help="How far to look back.",
)
@json_option
@verbose_option
def costs(days: int, as_json: bool) -> None:
    """Show what BigQuery has billed, step by step.

    Sums up the jobs of all syncs in the project that pays, by their labels. Needs
    roles/bigquery.resourceViewer on that project.
    """
    from helpdesk_assets.cli.costs import show_costs

    show_costs(days=days, as_json=as_json)


@root.group()
def watermark() -> None:
    """Show and correct the watermark."""


yes_option = click.option("--yes", is_flag=True, help="Apply the change; without it, only show it.")


@watermark.command()
@json_option
@verbose_option
def show(as_json: bool) -> None:
    """Show the watermark and how it got there."""
    from helpdesk_assets.cli.watermark import show as show_watermark

    show_watermark(as_json=as_json)


@watermark.command("set")
@click.argument("time", callback=parse_time)
@yes_option
@verbose_option
def set_watermark(time: datetime, yes: bool) -> None:
    """Set the watermark to TIME, which is ISO 8601 with a zone.

    Moving it back reads that span again. Moving it forward skips the changes in between.
    """
    from helpdesk_assets.cli.watermark import move_watermark

    if not move_watermark(time, confirmed=yes):
        raise click.exceptions.Exit(1)


@watermark.command()
@yes_option
@verbose_option
def rebuild(yes: bool) -> None:
    """Rebuild a lost state row from the run log."""
    from helpdesk_assets.cli.watermark import rebuild as rebuild_state

    if not rebuild_state(confirmed=yes):
        raise click.exceptions.Exit(1)


@root.command()
@verbose_option
def doctor() -> None:
    """Check settings, helpdesk and BigQuery; exit 1 on a failure."""
    from helpdesk_assets.cli.doctor import run_doctor

    if not run_doctor():
        raise click.exceptions.Exit(1)


@root.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=WEBHOOKS_PORT, show_default=True)
@click.option(
    "--insecure", is_flag=True, help="On loopback, without WEBHOOK_SECRETS: accept unsigned posts."
)
@verbose_option
def webhooks(host: str, port: int, insecure: bool) -> None:
    """Receive the helpdesk's webhooks, in the foreground.

    Answers 2xx only after an event is durable in BigQuery, and drains now and then.
    """
    from helpdesk_assets.cli.webhooks import serve_webhooks

    serve_webhooks(host=host, port=port, insecure=insecure)


@root.command()
@click.option("--watch", is_flag=True, help="Drain every WEBHOOK_DRAIN_SECONDS until stopped.")
@json_option
@verbose_option
def drain(watch: bool, as_json: bool) -> None:
    """Merge the webhooks that wait into the table.

    Each sync does so first, and so do Dagster and a running receiver every five minutes.
    Exit 1 if the helpdesk does not answer for some of them.
    """
    from helpdesk_assets.cli.drain import drain_once, drain_repeatedly

    if watch:
        drain_repeatedly(as_json=as_json)
    elif not drain_once(as_json=as_json):
        raise click.exceptions.Exit(1)


@root.group()
def alerts() -> None:
    """Notify people of failed checks and runs (ALERT_URLS)."""


@alerts.command(cls=click.Command)
@verbose_option
def test() -> None:
    """Send a sample to each of ALERT_URLS; exit 1 if one fails."""
    from helpdesk_assets.cli.alerts import send_sample

    if not send_sample():
        raise click.exceptions.Exit(1)


for command in (simulate, warehouse, demo):
    root.add_command(command)
