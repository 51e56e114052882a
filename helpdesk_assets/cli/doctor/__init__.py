"""The command `doctor`: everything a sync needs, looked at one by one, each with what to do.

Goes on after a failure, since who fixes one thing wants to know of the others. Must not change
anything that stays, but for the dataset, which the first sync would make as well.
"""

from __future__ import annotations

import click

from helpdesk_assets.cli.doctor.report import Finding, Verdict, examined
from helpdesk_assets.settings import EMBEDDED_HELPDESK, EMBEDDED_WAREHOUSE, Settings, load_settings

COLOURS = {Verdict.OK: "green", Verdict.FAILED: "red", Verdict.SKIPPED: "yellow"}


def examine() -> bool:
    """Print one line per thing looked at; whether all are well."""
    read: list[Settings] = []

    def look_at_settings() -> str:
        read.append(load_settings())
        return "readable"

    healthy = _told(examined("settings", look_at_settings))
    if not read:
        return False
    settings = read[0]
    from helpdesk_assets.cli.doctor.bigquery import bigquery_findings
    from helpdesk_assets.cli.doctor.helpdesk import helpdesk_findings

    for findings in (helpdesk_findings(settings), bigquery_findings(settings)):
        for finding in findings:
            healthy = _told(finding) and healthy
    if not healthy:
        _hint(settings)
    return healthy


def _told(finding: Finding) -> bool:
    verdict = click.style(f"{finding.verdict:<8}", fg=COLOURS[finding.verdict])
    click.echo(f"{verdict}{finding.what}: {finding.detail}")
    return finding.verdict is not Verdict.FAILED


def _hint(settings: Settings) -> None:
    """Where the embedded default is used and does not run, that is all there is to it."""
    from helpdesk_assets.cli.connections import is_listening

    embedded = {
        EMBEDDED_HELPDESK: (settings.helpdesk_base_url, "helpdesk-assets simulate"),
        EMBEDDED_WAREHOUSE: (settings.bigquery_emulator_host, "helpdesk-assets warehouse"),
    }
    commands = [
        command
        for default, (url, command) in embedded.items()
        if url == default and not is_listening(url)
    ]
    if commands:
        click.echo(
            "\nNothing runs at the addresses of the embedded default. Start it with `make dev`, or "
            f"with {' and '.join(f'`{command}`' for command in commands)}."
        )
