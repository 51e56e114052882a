"""The option `--dry-run` of `sync`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from helpdesk_assets.cli.preview import Tariff, summary, to_json_object
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.operations.preview import SyncPreview
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.cli.conftest import TICKETS, Run

GIB = 1 << 30
PREVIEW = SyncPreview(
    Mode.INCREMENTAL,
    "changes since the watermark",
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 2, tzinfo=UTC),
    is_read=True,
    tickets=1234,
    calls=13,
    statements=(
        StatementEstimate("raw_ticket_changes", 512 * GIB, 1, is_lower_bound=True),
        StatementEstimate("missed_updates", None, 2, unknown="the table x does not exist yet"),
        StatementEstimate("tickets", 512 * GIB, 2),
        StatementEstimate("sync_state", 5, 3),
    ),
)


def shown(preview: SyncPreview, tariff: Tariff) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(summary(preview, tariff))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_people_see_bytes_and_dollars() -> None:
    assert shown(PREVIEW, Tariff(8.0)) == [
        "dry run nothing was written",
        "mode incremental: changes since the watermark",
        "window 2026-03-01 00:00:00Z to 2026-03-02 00:00:00Z",
        "tickets 1,234",
        "API calls 13",
        "raw_ticket_changes reads at least 549.8 GB, and the batch",
        "missed_updates not known: the table x does not exist yet",
        "tickets reads 549.8 GB",
        "sync_state reads 5 B",
        "price at least $8.0002 for 1099.5 GB at $8.00 a TiB (BIGQUERY_PRICE_PER_TIB)",
    ]


def test_statement_above_the_limit_is_marked() -> None:
    tariff = Tariff(8.0, max_bytes=512 * GIB - 1)
    told = [line for line in shown(PREVIEW, tariff) if "BIGQUERY_MAX_BYTES_BILLED" in line]
    assert [line.split()[0] for line in told] == ["raw_ticket_changes", "tickets"]
    refused = [each["is_refused"] for each in to_json_object(PREVIEW, tariff)["statements"]]
    assert refused == [True, False, True, False]


def test_unread_load_is_called_an_estimate() -> None:
    unread = replace(PREVIEW, mode=Mode.FULL, since=None, until=None, is_read=False)
    lines = shown(unread, Tariff(8.0))
    assert lines[2:5] == [
        "window the beginning to the helpdesk's clock at its end",
        "tickets about 1,234 (an estimate by the last run; not read)",
        "API calls about 13 (an estimate by the size of a page; not read)",
    ]
    assert to_json_object(unread, Tariff(8.0))["is_estimate"] is True
    first = shown(replace(unread, tickets=None, calls=None), Tariff(8.0))
    assert first[3:5] == [
        f"{each} not known before the first load" for each in ("tickets", "API calls")
    ]


def test_json_has_what_programs_need() -> None:
    found = to_json_object(PREVIEW, Tariff(8.0))
    assert (found["status"], found["tickets"], found["api_calls"]) == ("dry_run", 1234, 13)
    assert found["window"] == {
        "since": "2026-03-01T00:00:00+00:00",
        "until": "2026-03-02T00:00:00+00:00",
    }
    assert found["dollars"] == pytest.approx(8.000229, abs=1e-6)
    assert found["statements"][1]["bytes_processed"] is None
    assert found["statements"][1]["unknown"] == "the table x does not exist yet"
    local = to_json_object(PREVIEW, Tariff(8.0, is_local=True))
    assert (local["dollars"], local["bytes_billed"]) == (0.0, 0)


@pytest.mark.slow
def test_dry_run_tells_of_the_next_sync(
    environment: Settings, run: Run, simulator: SimulatedHelpdesk
) -> None:
    first = run("sync", "--dry-run")
    assert first.exit_code == 0, first.output
    assert "full: first load" in first.stdout
    assert run("status", "--json").exit_code == 0
    assert json.loads(run("sync", "--json").stdout)["mode"] == "full"
    simulator.change(3, spread_seconds=3)
    simulator.advance(60)
    told = json.loads(run("sync", "--dry-run", "--json").stdout)
    assert (told["mode"], told["tickets"], told["api_calls"]) == ("incremental", 3, 1)
    assert (told["dollars"], told["is_estimate"]) == (0.0, False)
    assert "the local warehouse bills nothing" in run("sync", "--dry-run").stdout
    assert f"about {TICKETS}" in run("sync", "--dry-run", "--full").stdout
    assert json.loads(run("sync", "--json").stdout)["tickets_synced"] == 3


def test_dry_run_adopts_no_dataset(environment: Settings, run: Run) -> None:
    refused = run("sync", "--dry-run", "--adopt-account")
    assert refused.exit_code == 2
    assert "--dry-run writes nothing; leave out --adopt-account." in refused.output
