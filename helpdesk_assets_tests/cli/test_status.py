from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.cli.conftest import TICKETS, Run
from helpdesk_assets_tests.warehouse.stores.test_checkpoints import BEGUN
from helpdesk_assets_tests.webhook_events import store_events


def test_before_the_first_run(environment: Settings, run: Run) -> None:
    result = run("status")

    assert result.exit_code == 0
    assert result.output == (
        f"Sync 'tickets' has not run yet in test-project.{environment.bigquery_dataset}. "
        "Run `helpdesk-assets sync`; the first run reads every ticket.\n"
    )
    assert json.loads(run("status", "--json").stdout) == {
        "sync_name": "tickets",
        "watermark": None,
        "watermark_age_seconds": None,
        "rows": None,
        "tables_changed": None,
        "writer": None,
        "missed_last_24_hours": None,
        "webhooks": None,
        "webhooks_waiting": None,
        "checkpoint": None,
        "runs": [],
    }


def test_during_an_unfinished_first_load(
    environment: Settings, warehouse: BigQueryClient, run: Run
) -> None:
    tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    store = tables.checkpoint_store("run-1")
    store.begin(BEGUN.staging)
    store.save(BEGUN, 0)

    shown = run("status").stdout
    status = json.loads(run("status", "--json").stdout)

    assert "250 tickets (40% of the window) stored at" in shown
    assert "the next run resumes there" in shown
    assert "last runs" not in shown
    assert status["checkpoint"] == {
        "tickets": 250,
        "pages": 3,
        "share": 0.4,
        "saved_at": BEGUN.saved_at.isoformat(),
    }


def test_after_runs(environment: Settings, run: Run) -> None:
    run("sync")
    run("sync")

    status = json.loads(run("status", "--json").stdout)
    shown = run("status").stdout

    assert status["rows"] == TICKETS
    assert [each["mode"] for each in status["runs"]] == ["incremental", "full"]
    assert status["runs"][1] | {"run_id": 0, "closed_at": 0, "until": 0} == {
        "run_id": 0,
        "closed_at": 0,
        "mode": "full",
        "reason": "first load",
        "since": None,
        "until": 0,
        "tickets": TICKETS,
        "missed": None,
    }
    watermark = datetime.fromisoformat(status["watermark"])
    age = (datetime.now(UTC) - watermark).total_seconds()
    assert abs(status["watermark_age_seconds"] - age) < 60
    assert f"{TICKETS} in tickets when the last run closed" in shown
    assert status["missed_last_24_hours"] is None
    assert status["webhooks"] == "not judged: no webhook has been stored yet"
    assert "not judged: no webhook has been stored yet" in shown
    assert "first load" in shown


def test_judged_runs_count_what_was_missed(
    environment: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_LEDGER", "table")
    run("sync")
    loaded = json.loads(run("status", "--json").stdout)
    run("sync")
    status = json.loads(run("status", "--json").stdout)

    assert (loaded["webhooks"], loaded["missed_last_24_hours"]) == ("not judged: first load", None)
    assert (status["webhooks"], status["missed_last_24_hours"]) == (
        "judged by the tickets table", 0,
    )  # fmt: skip
    assert [each["missed"] for each in status["runs"]] == [0, None]
    assert "0 recorded in the last 24 h" in run("status").stdout


def test_webhooks_that_wait_are_shown_with_their_age(
    environment: Settings, warehouse: BigQueryClient, simulator: SimulatedHelpdesk, run: Run
) -> None:
    assert json.loads(run("status", "--json").stdout)["webhooks_waiting"] is None
    changes = simulator.change(3)
    store_events(warehouse, changes, delay=1.0)
    assert "Waiting for it: 3 webhooks, the oldest came" in run("status").stdout
    run("sync")
    drained = json.loads(run("status", "--json").stdout)["webhooks_waiting"]
    assert drained == {"events": 0, "oldest": None}
    store_events(warehouse, simulator.change(1), delay=1.0)
    assert "1 webhook, the oldest came" in run("status").stdout
    assert "waiting webhooks: 1 webhook, the oldest came" in run("doctor").stdout
