"""The command `costs`: what BigQuery has billed for the jobs of all syncs of a project."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from helpdesk_assets.cli.connections import open_warehouse
from helpdesk_assets.formatting import format_bytes
from helpdesk_assets.model.job_costs import CostReport
from helpdesk_assets.settings import load_settings
from helpdesk_assets.warehouse.stores.job_costs import read_costs

if TYPE_CHECKING:
    from rich.table import Table


def show_costs(*, days: int, as_json: bool) -> None:
    """Print the costs of the last days, for people or as JSON."""
    settings = load_settings()
    with open_warehouse(settings) as warehouse:
        steps = read_costs(warehouse, days)
    report = CostReport(days, settings.bigquery_price_per_tib, steps)
    if as_json:
        click.echo(json.dumps(to_json_object(report)))
        return
    if not steps:
        click.echo(f"BigQuery ran no job of helpdesk-assets in the last {days} days.")
        return
    from rich.console import Console

    Console().print(table_of(report))
    click.echo(
        f"${report.dollars(report.bytes_billed):.2f} in {days} days at "
        f"${report.price_per_tib:.2f} a TiB (BIGQUERY_PRICE_PER_TIB), "
        f"${report.dollars_a_month:.2f} a month. Projects on editions pay for slots instead."
    )


def to_json_object(report: CostReport) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "days": report.days,
        "bytes_billed": report.bytes_billed,
        "dollars": report.dollars(report.bytes_billed),
        "dollars_a_month": report.dollars_a_month,
        "steps": [
            {**asdict(step), "dollars": report.dollars(step.bytes_billed)} for step in report.steps
        ],
    }


def table_of(report: CostReport) -> Table:
    """The report for people, one row for each dataset and step."""
    from rich.table import Table

    table = Table("dataset", "step", box=None, pad_edge=False)
    for name in ("jobs", "failed", "billed", "dollars", "slot hours"):
        table.add_column(name, justify="right")
    for step in report.steps:
        table.add_row(
            step.dataset,
            step.step,
            f"{step.jobs:,}",
            f"{step.failed:,}",
            format_bytes(step.bytes_billed),
            f"{report.dollars(step.bytes_billed):.2f}",
            f"{step.slot_seconds / 3600:.2f}",
        )
    return table
