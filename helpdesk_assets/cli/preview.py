"""The command `sync --dry-run`: what a sync would do, without doing it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.cli.progress import fetch_progress
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.formatting import format_bytes, format_iso, format_time
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.operations.preview import SyncPreview, preview_sync
from helpdesk_assets.operations.sync import SyncPolicy
from helpdesk_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.table import Table

LOCAL = "the local warehouse bills nothing"


@dataclass(frozen=True, slots=True)
class Tariff:
    """What bytes cost.

    Attributes:
        price_per_tib: dollars for a TiB.
        is_local: an emulator, which bills nothing.
        max_bytes: a statement that bills more is refused; None: there is no limit.
    """

    price_per_tib: float
    is_local: bool = False
    max_bytes: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Tariff:
        """Take it from settings."""
        return cls(
            settings.bigquery_price_per_tib,
            bool(settings.bigquery_emulator_host),
            settings.bigquery_max_bytes_billed,
        )

    def forbids(self, statement: StatementEstimate) -> bool:
        """Return whether BigQuery would refuse the statement."""
        return self.max_bytes is not None and statement.bytes_billed > self.max_bytes


def preview_once(*, full: bool, as_json: bool) -> None:
    """Print what a sync would do, for people or as JSON."""
    settings = load_settings()
    with open_connections(settings) as connections, fetch_progress() as listener:
        preview = preview_sync(
            connections.helpdesk,
            connections.tables,
            SyncRequest(RequestedMode.FULL if full else RequestedMode.AUTO),
            SyncPolicy.from_settings(settings),
            run_id=uuid.uuid4().hex,
            on_page=listener.on_page,
        )
    tariff = Tariff.from_settings(settings)
    if as_json:
        click.echo(json.dumps(to_json_object(preview, tariff)))
        return
    from rich.console import Console

    Console().print(summary(preview, tariff))


def to_json_object(preview: SyncPreview, tariff: Tariff) -> dict[str, Any]:
    """The object that `--json` prints; what nobody can say is null."""
    return {
        "status": "dry_run",
        "mode": preview.mode.value,
        "reason": preview.reason,
        "window": {"since": format_iso(preview.since), "until": format_iso(preview.until)},
        "tickets": preview.tickets,
        "api_calls": preview.calls,
        "is_estimate": not preview.is_read,
        "statements": [
            {
                "step": each.step,
                "bytes_processed": each.bytes_processed,
                "is_lower_bound": each.is_lower_bound,
                "is_refused": tariff.forbids(each),
                **({"unknown": each.unknown} if each.unknown else {}),
            }
            for each in preview.statements
        ],
        "bytes_billed": 0 if tariff.is_local else preview.bytes_billed,
        "dollars": 0.0 if tariff.is_local else preview.dollars(tariff.price_per_tib),
        "is_lower_bound": preview.is_lower_bound,
    }


def summary(preview: SyncPreview, tariff: Tariff) -> Table:
    """What a sync would do, for people."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("dry run", "nothing was written")
    table.add_row("mode", f"{preview.mode}: {preview.reason}")
    until = format_time(preview.until) if preview.until else "the helpdesk's clock at its end"
    table.add_row("window", f"{format_time(preview.since)} to {until}")
    table.add_row("tickets", _count(preview, preview.tickets, "by the last run"))
    table.add_row("API calls", _count(preview, preview.calls, "by the size of a page"))
    for each in preview.statements:
        table.add_row(f"  {each.step}", _reads(each, tariff))
    table.add_row("price", _price(preview, tariff))
    return table


def _count(preview: SyncPreview, number: int | None, basis: str) -> str:
    if number is None:
        return "not known before the first load"
    return f"{number:,}" if preview.is_read else f"about {number:,} (an estimate {basis}; not read)"


def _reads(statement: StatementEstimate, tariff: Tariff) -> str:
    if statement.bytes_processed is None:
        return f"not known: {statement.unknown}"
    if tariff.is_local:
        return LOCAL
    text = f"reads {format_bytes(statement.bytes_processed)}"
    if statement.is_lower_bound:
        text = f"reads at least {format_bytes(statement.bytes_processed)}, and the batch"
    return f"{text}; more than BIGQUERY_MAX_BYTES_BILLED" if tariff.forbids(statement) else text


def _price(preview: SyncPreview, tariff: Tariff) -> str:
    if tariff.is_local:
        return LOCAL
    at_least = "at least " if preview.is_lower_bound else ""
    return (
        f"{at_least}${preview.dollars(tariff.price_per_tib):.4f} for "
        f"{format_bytes(preview.bytes_billed)} at ${tariff.price_per_tib:.2f} a TiB "
        "(BIGQUERY_PRICE_PER_TIB)"
    )
