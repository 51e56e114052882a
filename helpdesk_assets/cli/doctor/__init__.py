"""The command `doctor`: check everything that a sync needs, and say what to do about failures.

Continues after a failure, so that one call shows all of them. Must not leave changes behind, except
the dataset, which the first sync would create as well.
"""

from __future__ import annotations

import click

from helpdesk_assets.cli.doctor.report import DiagnosticResult, DiagnosticStatus, run_check
from helpdesk_assets.settings import (
    LOCAL_HELPDESK_URL,
    LOCAL_WAREHOUSE_URL,
    Settings,
    load_settings,
)

COLOURS = {
    DiagnosticStatus.OK: "green",
    DiagnosticStatus.WARNING: "yellow",
    DiagnosticStatus.FAILED: "red",
    DiagnosticStatus.SKIPPED: "yellow",
}


def run_doctor() -> bool:
    """Print one line per check. Returns whether all passed."""
    read: list[Settings] = []

    def read_settings() -> str:
        read.append(load_settings())
        return "readable"

    healthy = _print_result(run_check("settings", read_settings))
    if not read:
        return False
    settings = read[0]
    from helpdesk_assets.cli.doctor.bigquery import check_bigquery
    from helpdesk_assets.cli.doctor.helpdesk import check_helpdesk

    for diagnostics in (check_helpdesk(settings), check_bigquery(settings)):
        for diagnostic in diagnostics:
            healthy = _print_result(diagnostic) and healthy
    if not healthy:
        _print_hint(settings)
    return healthy


def _print_result(diagnostic: DiagnosticResult) -> bool:
    status = click.style(f"{diagnostic.status:<8}", fg=COLOURS[diagnostic.status])
    click.echo(f"{status}{diagnostic.what}: {diagnostic.detail}")
    return diagnostic.status is not DiagnosticStatus.FAILED


def _print_hint(settings: Settings) -> None:
    """Name the local servers that the settings default to and that do not run."""
    from helpdesk_assets.cli.connections import is_listening

    embedded = {
        LOCAL_HELPDESK_URL: (settings.helpdesk_base_url, "helpdesk-assets simulate"),
        LOCAL_WAREHOUSE_URL: (settings.bigquery_emulator_host, "helpdesk-assets warehouse"),
    }
    commands = [
        command
        for default, (url, command) in embedded.items()
        if url == default and not is_listening(url)
    ]
    if commands:
        click.echo(
            "\nNothing answers at the local default address. Start it with `make dev`, or with "
            f"{' and '.join(f'`{command}`' for command in commands)}."
        )
